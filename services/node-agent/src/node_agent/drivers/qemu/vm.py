"""One VM: its folder, its QEMU process, its guest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import msgspec

from chassis.clock import Clock
from contracts.vms import ScriptResult, VmInfo
from node_agent.drivers.port import DriverError, HostFault, ListedVm, VmMissing
from node_agent.drivers.qemu import ports, process, qmp
from node_agent.drivers.qemu.channel import NoAnswer
from node_agent.drivers.qemu.folder import VmFolder, VmRecord
from node_agent.drivers.qemu.guest_agent import GuestAgent
from node_agent.drivers.qemu.machine import NETWORK_CARD, arguments
from node_agent.drivers.qemu.qmp import Command
from node_agent.drivers.qemu.status import FAILED, RUNNING, STOPPED, of_monitor

_MONITOR_SECONDS = 20.0
_PORT_TRIES = 20
_TIDY_SECONDS = 5.0
_ADDRESS_AGE = 30.0


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


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """What a start needs beyond the record. ``taken`` tells the ports of other VMs."""

    accelerator: str
    kernel: Path | None
    initrd: Path | None
    taken: Callable[[], Collection[int]]


class Vm:
    """A VM of this host. Starting, stopping and deleting take turns; delete does not wait."""

    def __init__(self, folder: VmFolder, record: VmRecord, host: Host) -> None:
        self.record = record
        self._folder = folder
        self._host = host
        self._agent = GuestAgent(folder.path)
        self._turn = asyncio.Lock()
        self._doomed = self._removed = False
        self._address = ""
        self._address_asked = float("-inf")

    async def start(self, boot: Boot) -> VmInfo:
        """Run it until the guest answers; one that runs already is only waited for.

        A process that a killed agent left before the guest's first instruction is begun anew.
        """
        async with self._turn:
            pid = process.running(self._folder.path)
            if pid is not None and await self._status() == STOPPED:
                await process.end(pid)
                pid = None
            if pid is None:
                await self._start(boot)
            else:
                await self._catch_up(pid)
        return await self.info()

    async def restart(self, boot: Boot) -> VmInfo:
        """End it by force and start it again, with the ports it had."""
        async with self._turn:
            await self._end()
            await self._start(boot)
        return await self.info()

    async def stop(self) -> None:
        """Press the power button, and pull the plug when that does not help."""
        async with self._turn:
            pid = process.running(self._folder.path)
            if pid is not None:
                with contextlib.suppress(DriverError):
                    await qmp.execute(self._folder.path, Command("system_powerdown"))
                    await process.ended(pid, self._host.stop_seconds)
            await self._end()

    async def delete(self) -> None:
        """Leave nothing; a start under way fails because its process is gone."""
        self._doomed = True
        await self._kill()
        async with self._turn:
            if self._removed:
                return
            await self._kill()
            await asyncio.to_thread(self._folder.remove)
            self._removed = True

    async def run_script(self, script: bytes, timeout: float) -> ScriptResult:
        """See GuestAgent."""
        if process.running(self._folder.path) is None:
            raise HostFault(f"VM {self.record.name} is not running")
        return await self._agent.run_script(script, timeout)

    async def listed(self) -> ListedVm:
        """The VM with its labels."""
        return ListedVm(
            info=await self.info(),
            cloud_id=self.record.cloud_id,
            instance_id=self.record.instance_id,
            attempt=self.record.attempt,
        )

    async def info(self) -> VmInfo:
        """The VM now."""
        if not self._folder.path.exists():
            raise VmMissing(f"{self.record.name}: not found")
        status = await self._status()
        self._folder.trim_console()
        record = self.record
        return VmInfo(
            uuid=record.uuid,
            name=record.name,
            status=status,
            host_ip=self._host.address,
            ip=await self._ip() if status == RUNNING else "",
            cpu_cores=record.cpu,
            ram_mb=record.ram_mb,
            vnc_port=record.vnc_port,
            vnc_password=record.vnc_password,
            mac_address=record.mac_address,
            port_forwarding=record.forwards,
            creation_date=record.created,
            access_date=record.started or record.created,
            start_date=record.started,
            stop_date=record.stopped,
            timestamp=self._host.clock.now(),
        )

    async def _status(self) -> str:
        if process.running(self._folder.path) is None:
            if process.crashed(self._folder.path):
                return FAILED
            self._note_stop()
            return STOPPED
        try:
            (answer,) = await qmp.execute(self._folder.path, Command("query-status"), timeout=2.0)
        except NoAnswer:
            return RUNNING
        return of_monitor(answer["status"])

    async def _ip(self) -> str:
        """The guest's address, asked again now and then, and whenever it has none."""
        now = self._host.clock.monotonic()
        if not self._address or now - self._address_asked > _ADDRESS_AGE:
            self._address_asked = now
            with contextlib.suppress(HostFault):
                self._address = await self._agent.address()
        return self._address

    async def _start(self, boot: Boot) -> None:
        self._address = ""
        pid = await self._spawn(boot)
        try:
            await self._configure()
            self._keep(started=self._host.clock.now(), stopped=None)
            await self._wait_for_guest(pid)
        except BaseException:
            await asyncio.shield(process.end(pid))
            raise

    async def _catch_up(self, pid: int) -> None:
        """Finish the start of an agent that was killed, as far as it came."""
        if self.record.started is None:
            self._keep(started=self._host.clock.now())
        await self._wait_for_guest(pid)

    async def _spawn(self, boot: Boot) -> int:
        """A QEMU whose monitor answers; another port is tried when somebody took the first."""
        refused: set[int] = set()
        for _ in range(_PORT_TRIES):
            self._choose_ports(boot, refused)
            pid = self._begin(boot)
            try:
                await self._wait_for_monitor(pid)
            except BaseException as error:
                await asyncio.shield(process.end(pid))
                port = ports.refused(process.complaint(self._folder.path))
                if port is None or not isinstance(error, HostFault):
                    raise
                if any(rule.host_port == port for rule in self.record.ports):
                    raise ports.in_use(port) from error
                refused.add(port)
            else:
                return pid
        raise HostFault("failed to start: other programs keep taking the forwarded ports")

    def _choose_ports(self, boot: Boot, refused: set[int]) -> None:
        """Choose and write down without a pause between, so that no other VM chooses the same."""
        record = self.record
        chosen = ports.choose(
            record.ports,
            record.host_ports,
            {*boot.taken(), *refused},
            self._host.port_range,
            self._host.bind,
        )
        if chosen != record.host_ports:
            self._keep(host_ports=chosen)

    def _begin(self, boot: Boot) -> int:
        if self._doomed:
            raise VmMissing(f"{self.record.name}: not found")
        folder = self._folder.path
        for leftover in (qmp.SOCKET, "agent.sock", process.PID_FILE):
            (folder / leftover).unlink(missing_ok=True)
        argv = arguments(
            self.record,
            accelerator=boot.accelerator,
            bind=self._host.bind,
            kernel=boot.kernel,
            initrd=boot.initrd,
        )
        return process.spawn(folder, argv)

    async def _wait_for_monitor(self, pid: int) -> None:
        folder = self._folder.path
        async with self._limit(_MONITOR_SECONDS, "QEMU does not answer"):
            while True:
                with contextlib.suppress(NoAnswer):
                    await qmp.execute(folder, Command("query-name"))
                    return
                if await process.ended(pid, 0.02):
                    raise HostFault(f"failed to start: {process.complaint(folder) or 'QEMU ended'}")

    async def _configure(self) -> None:
        """What must stand before the guest's first instruction; then let it run."""
        record = self.record
        commands = []
        if record.vnc_password:
            secret = {"protocol": "vnc", "password": record.vnc_password}
            commands += [Command("set_password", secret), Command("query-vnc")]
        if not record.connected:
            commands.append(Command("set_link", {"name": NETWORK_CARD, "up": False}))
        commands.append(Command("cont"))
        answers = await qmp.execute(self._folder.path, *commands)
        if record.vnc_password:
            self._keep(vnc_port=int(answers[1]["service"]))

    async def _wait_for_guest(self, pid: int) -> None:
        async with self._limit(self._host.ready_seconds, "the guest does not answer"):
            while not await self._agent.answers():
                if await process.ended(pid, 0.1):
                    reason = process.complaint(self._folder.path) or self._folder.console_tail()
                    raise HostFault(f"failed to start: QEMU ended during boot: {reason}")

    @contextlib.asynccontextmanager
    async def _limit(self, seconds: float, fault: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            tail = self._folder.console_tail() or "nothing"
            raise HostFault(f"{fault} in {seconds:g} s; its console says: {tail}") from None

    async def _end(self) -> None:
        pid = process.running(self._folder.path)
        if pid is not None:
            await process.end(pid, grace=_TIDY_SECONDS)
        (self._folder.path / process.PID_FILE).unlink(missing_ok=True)
        self._note_stop()

    async def _kill(self) -> None:
        for pid in await asyncio.to_thread(process.every, self._folder.path):
            await process.end(pid)

    def _note_stop(self) -> None:
        """Remember when it stopped; a guest that powered off by itself is noticed later."""
        if self.record.started and self.record.stopped is None:
            self._keep(stopped=self._host.clock.now())

    def _keep(self, **changes: object) -> None:
        self.record = msgspec.structs.replace(self.record, **changes)
        self._folder.save(self.record)
