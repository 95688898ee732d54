"""Starting QEMU for one VM: from its record to a guest that answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection

import msgspec
import structlog

from chassis.clock import Clock
from contracts.artifacts import SavedState
from node_agent.drivers.port import STATE_SECONDS, HostFault, VmMissing
from node_agent.drivers.qemu import migration, ports, process, qmp
from node_agent.drivers.qemu.blobs import BlobStore
from node_agent.drivers.qemu.channel import NoAnswer
from node_agent.drivers.qemu.folder import Kept, VmRecord
from node_agent.drivers.qemu.guest_agent import SOCKET, GuestAgent
from node_agent.drivers.qemu.machine import NETWORK_CARD, Boot, arguments, hostname
from node_agent.drivers.qemu.migration import Offer
from node_agent.drivers.qemu.overrides import random_mac
from node_agent.drivers.qemu.sealing import spare_disk, unseal

_MONITOR_SECONDS = 20.0
_PORT_TRIES = 20
_GREETING_PAUSE = 0.05
_log = structlog.get_logger()


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What every VM of the host shares. Durations in seconds.

    ``address`` is published, ``bind`` is where forwarded ports listen.
    """

    address: str
    bind: str
    port_range: range
    clock: Clock
    ready_seconds: float
    stop_seconds: float


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What the host has for a start of one VM. ``taken`` tells the ports of other VMs."""

    offer: Offer
    blobs: BlobStore
    taken: Callable[[], Collection[int]]


class Launch:
    """One start of one VM. ``doomed`` tells whether it is being deleted meanwhile."""

    def __init__(
        self, kept: Kept, host: Host, means: Means, agent: GuestAgent, doomed: Callable[[], bool]
    ) -> None:
        self._kept = kept
        self._host = host
        self._means = means
        self._agent = agent
        self._doomed = doomed
        self._folder = kept.folder.path

    async def start(self) -> str:
        """Have the guest run: as it was suspended where that is possible, else from its disk.

        Its address, if it has one already.
        """
        saved, ran = self._kept.record.saved, self._kept.record.started is not None
        if self._kept.record.sealed:
            await unseal(self._kept, self._means.blobs)
        pid = await self._restore(saved) if saved else None
        restored = pid is not None
        if saved:
            self._forget_state(restored=restored)
        if pid is None:
            pid = await self._spawn()
        async with self._ended_on_error(pid):
            await self._let_run()
            self._kept.keep(started=self._host.clock.now(), stopped=None)
            address = await self._wait_for_guest(pid)
            if restored:
                await self._wake_up(needed=not ran)
            return address

    async def go_on(self, pid: int) -> str:
        """Finish what an agent that was killed, or a save that broke off, has left running.

        Whether it runs is the guest's to tell, where others keep the monitor busy.
        """
        halted = False
        with contextlib.suppress(NoAnswer):
            halted = await migration.is_halted(self._folder)
        if halted:
            await migration.unhalt(self._folder)
        if self._kept.record.started is None:
            self._kept.keep(started=self._host.clock.now())
        address = await self._wait_for_guest(pid)
        if halted:
            await self._wake_up(needed=False)
        return address

    async def rehearse(self) -> None:
        """Wake a suspended guest up for a moment, on a disk of its own and without a network.

        HostFault when it does not answer. Its disk, state and record stay as they are.
        """
        record = self._kept.record
        assert record.saved
        if reason := migration.misfit(record.saved, self._means.offer):
            raise HostFault(f"the saved state cannot be restored: {reason}")
        async with spare_disk(self._kept.folder) as spare:
            alone = msgspec.structs.replace(
                record, ports=(), host_ports=(), vnc_password="", connected=False
            )
            boot = self._boot(record.saved)
            boot = msgspec.structs.replace(boot, disks=(spare, *boot.disks))
            pid = self._begin(alone, boot)
            try:
                await self._wait_for_monitor(pid)
                await self._wait_for_state(pid)
                await self._let_run(alone)
                await self._wait_for_guest(pid)
            finally:
                await asyncio.shield(process.end(pid))

    async def _restore(self, saved: SavedState) -> int | None:
        """A halted QEMU with the state in it; None when this host cannot have one."""
        reason = migration.misfit(saved, self._means.offer)
        if not reason:
            try:
                return await self._loaded(saved)
            except HostFault as error:
                reason = str(error)
        _log.warning("qemu.cold_boot", vm=self._kept.record.name, reason=reason)
        return None

    async def _loaded(self, saved: SavedState) -> int:
        pid = await self._spawn(saved)
        async with self._ended_on_error(pid):
            await self._wait_for_state(pid)
        return pid

    def _forget_state(self, *, restored: bool) -> None:
        """From here on the disk moves on, and the state fits it no more.

        Booted cold, a clone has an address of its own.
        """
        record = self._kept.record
        keeps_address = restored or record.started is not None
        self._kept.keep(
            saved=None,
            state=None,
            mac_address=record.mac_address if keeps_address else random_mac(),
        )
        self._kept.folder.state.unlink(missing_ok=True)

    async def _spawn(self, restored: SavedState | None = None) -> int:
        """A QEMU whose monitor answers; another port is tried when somebody took the first."""
        refused: set[int] = set()
        for _ in range(_PORT_TRIES):
            self._choose_ports(refused)
            pid = self._begin(self._kept.record, self._boot(restored))
            try:
                await self._wait_for_monitor(pid)
            except BaseException as error:
                await asyncio.shield(process.end(pid))
                port = ports.refused(process.complaint(self._folder))
                if port is None or not isinstance(error, HostFault):
                    raise
                if any(rule.host_port == port for rule in self._kept.record.ports):
                    raise ports.in_use(port) from error
                refused.add(port)
            else:
                return pid
        raise HostFault("failed to start: other programs keep taking the forwarded ports")

    def _choose_ports(self, refused: set[int]) -> None:
        """Choose and write down without a pause between, so that no other VM chooses the same."""
        record = self._kept.record
        chosen = ports.choose(
            record.ports,
            record.host_ports,
            {*self._means.taken(), *refused},
            self._host.port_range,
            self._host.bind,
        )
        if chosen != record.host_ports:
            self._kept.keep(host_ports=chosen)

    def _boot(self, restored: SavedState | None) -> Boot:
        record, path = self._kept.record, self._means.blobs.path
        kernel, initrd = record.manifest.kernel, record.manifest.initrd
        return Boot(
            accelerator=self._means.offer.accelerator,
            bind=self._host.bind,
            disks=(self._kept.folder.disk, path(record.manifest.disks[-1])),
            kernel=path(kernel) if kernel else None,
            initrd=path(initrd) if initrd else None,
            restored=restored,
        )

    def _begin(self, record: VmRecord, boot: Boot) -> int:
        if self._doomed():
            raise VmMissing(f"{record.name}: not found")
        for leftover in (qmp.SOCKET, SOCKET, process.PID_FILE):
            (self._folder / leftover).unlink(missing_ok=True)
        state = self._means.blobs.path(record.state) if record.state else self._kept.folder.state
        argv = arguments(record, boot)
        return process.spawn(self._folder, argv, state if boot.restored else None)

    async def _wait_for_monitor(self, pid: int) -> None:
        async with self._limit(_MONITOR_SECONDS, "QEMU does not answer"):
            while True:
                with contextlib.suppress(NoAnswer):
                    async with qmp.monitor(self._folder):
                        return
                if await process.ended(pid, 0.02):
                    raise HostFault(
                        f"failed to start: {process.complaint(self._folder) or 'QEMU ended'}"
                    )

    async def _wait_for_state(self, pid: int) -> None:
        async with self._limit(STATE_SECONDS, "the saved state is not loaded"):
            await migration.loaded(self._folder, pid)

    async def _let_run(self, record: VmRecord | None = None) -> None:
        """Set what must stand before the guest's next instruction; then let it run."""
        record = record or self._kept.record
        async with qmp.monitor(self._folder, _MONITOR_SECONDS) as monitor:
            if record.vnc_password:
                secret = record.vnc_password
                await monitor.run("set_password", protocol="vnc", password=secret)
                port = int((await monitor.run("query-vnc"))["service"])
                self._kept.keep(vnc_port=port)
            await monitor.run("set_link", name=NETWORK_CARD, up=record.connected)
            await monitor.run("cont")

    async def _wait_for_guest(self, pid: int) -> str:
        """Return when it answers; its address, if it has one already."""
        async with self._limit(self._host.ready_seconds, "the guest does not answer"):
            while (address := await self._agent.greeted()) is None:
                if await process.ended(pid, _GREETING_PAUSE):
                    reason = process.complaint(self._folder) or self._kept.folder.console_tail()
                    raise HostFault(f"failed to start: QEMU ended during boot: {reason}")
        return address

    async def _wake_up(self, *, needed: bool) -> None:
        """Tell a guest that was halted what time it is, and its name.

        ``needed``: clones of one state must not be alike; what ran before does so all the same.
        """
        name = self._kept.record.name
        try:
            async with self._limit(self._host.ready_seconds, "the guest cannot be woken up"):
                await self._agent.wake_up(self._host.clock, hostname(name))
        except HostFault as error:
            if needed:
                raise
            _log.warning("qemu.not_woken_up", vm=name, error=str(error))

    @contextlib.asynccontextmanager
    async def _ended_on_error(self, pid: int) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            await asyncio.shield(process.end(pid))
            raise

    @contextlib.asynccontextmanager
    async def _limit(self, seconds: float, fault: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            tail = self._kept.folder.console_tail() or "nothing"
            raise HostFault(f"{fault} in {seconds:g} s; its console says: {tail}") from None
