"""One VM: its folder, its QEMU process, its guest."""

import asyncio
import contextlib

import msgspec
import structlog

from contracts.artifacts import TemplateConfig
from contracts.vms import ScriptResult, VmInfo
from node_agent.drivers.port import DriverError, HostFault, ListedVm, SavedImage, VmMissing
from node_agent.drivers.qemu import migration, process, qmp
from node_agent.drivers.qemu.blobs import BlobStore
from node_agent.drivers.qemu.channel import NoAnswer
from node_agent.drivers.qemu.folder import Kept, VmFolder, VmRecord
from node_agent.drivers.qemu.guest_agent import GuestAgent
from node_agent.drivers.qemu.launch import Host, Launch, Means
from node_agent.drivers.qemu.sealing import seal
from node_agent.drivers.qemu.status import FAILED, RUNNING, STOPPED, SUSPENDED, of_monitor

_TIDY_SECONDS = 5.0
_SAVE_STOP_SECONDS = 60.0
_ADDRESS_AGE = 30.0
_log = structlog.get_logger()


class Vm:
    """A VM of this host. Its verbs take turns; delete does not wait."""

    def __init__(self, folder: VmFolder, record: VmRecord, host: Host) -> None:
        self._kept = Kept(folder, record)
        self._folder = folder
        self._host = host
        self._agent = GuestAgent(folder.path)
        self._turn = asyncio.Lock()
        self._doomed = self._removed = False
        self._address = ""
        self._address_asked = float("-inf")

    @property
    def record(self) -> VmRecord:
        """What is known of it."""
        return self._kept.record

    async def start(self, means: Means) -> VmInfo:
        """Run it until the guest answers; one that runs already is only waited for.

        A process that a killed agent left before the guest's first instruction is begun anew.
        """
        async with self._turn:
            pid = process.running(self._folder.path)
            if pid is not None and (self.record.saved or await self._status() == STOPPED):
                await process.end(pid)
                pid = None
            launch = self._launch(means)
            self._know(await (launch.start() if pid is None else launch.go_on(pid)))
        return await self.info()

    async def restart(self, means: Means, new_password: str | None = None) -> VmInfo:
        """End it by force and boot it, with the ports it had."""
        async with self._turn:
            await self._end()
            if self.record.saved:
                self._kept.keep(saved=None, state=None)
                self._folder.state.unlink(missing_ok=True)
            if new_password is not None:
                self._kept.keep(vnc_password=new_password)
            self._know(await self._launch(means).start())
        return await self.info()

    async def stop(self) -> None:
        """Press the power button, and pull the plug when that does not help."""
        async with self._turn:
            await self._power_off(self._host.stop_seconds)

    async def save(self, means: Means, *, suspend: bool, test: bool) -> SavedImage:
        """Suspend or stop it, and make its disk a layer; see VmDriver."""
        async with self._turn:
            if not self.record.sealed:
                await (self._suspend(means, test=test) if suspend else self._halt())
            await seal(self._kept, means.blobs)
        return self._image(means.blobs)

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

    async def run_script(self, script: bytes, timeout: float, *, kill: bool) -> ScriptResult:
        """See GuestAgent."""
        if process.running(self._folder.path) is None:
            raise HostFault(f"VM {self.record.name} is not running")
        return await self._agent.run_script(script, timeout, kill=kill)

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
            if self.record.saved:
                return SUSPENDED
            if process.crashed(self._folder.path):
                return FAILED
            self._note_stop()
            return STOPPED
        if self.record.saved:
            return SUSPENDED
        try:
            async with qmp.monitor(self._folder.path, 2.0) as monitor:
                return of_monitor((await monitor.run("query-status"))["status"])
        except NoAnswer:
            return RUNNING

    async def _ip(self) -> str:
        """The guest's address, asked again now and then, and whenever it has none."""
        now = self._host.clock.monotonic()
        if not self._address or now - self._address_asked > _ADDRESS_AGE:
            self._address_asked = now
            with contextlib.suppress(HostFault):
                self._address = await self._agent.address()
        return self._address

    def _know(self, address: str) -> None:
        self._address, self._address_asked = address, self._host.clock.monotonic()

    def _launch(self, means: Means) -> Launch:
        self._address = ""
        return Launch(self._kept, self._host, means, self._agent, lambda: self._doomed)

    async def _suspend(self, means: Means, *, test: bool) -> None:
        """Have its memory in a file, and no process."""
        folder, pid = self._folder, process.running(self._folder.path)
        if not self.record.saved:
            if pid is None or await self._status() == STOPPED:
                raise HostFault(f"VM {self.record.name} is not running")
            if await migration.is_halted(folder.path):
                await migration.unhalt(folder.path)
            await self._write_back()
            saved = await migration.save_state(folder.path, folder.state, self.record, means.offer)
            self._kept.keep(saved=saved, state=None, stopped=self._host.clock.now())
        await self._end()
        if test:
            await self._launch(means).rehearse()

    async def _halt(self) -> None:
        """Have it stopped in good order, and what was written on its disk."""
        if await self._status() == FAILED:
            raise HostFault(f"VM {self.record.name} has failed")
        if process.running(self._folder.path) is not None:
            await self._write_back()
            await self._power_off(_SAVE_STOP_SECONDS)

    async def _write_back(self) -> None:
        """Without its memory the image is what its disk is."""
        try:
            await self._agent.sync()
        except (DriverError, TimeoutError) as error:
            _log.warning("qemu.not_synced", vm=self.record.name, error=str(error))

    async def _power_off(self, seconds: float) -> None:
        pid = process.running(self._folder.path)
        if pid is not None and not self.record.saved:
            with contextlib.suppress(DriverError):
                async with qmp.monitor(self._folder.path) as monitor:
                    await monitor.run("system_powerdown")
                await process.ended(pid, seconds)
        await self._end()

    def _image(self, blobs: BlobStore) -> SavedImage:
        record = self.record
        return SavedImage(
            config=_config(record),
            layers=record.layers,
            files={layer.digest: blobs.path(layer) for layer in record.layers},
            repository=record.template.repository,
        )

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
            self._kept.keep(stopped=self._host.clock.now())


def _config(record: VmRecord) -> TemplateConfig:
    """The VM as a template; a host port that was one start's wish would suit one clone only."""
    ports = tuple(
        rule if rule in record.config.ports else msgspec.structs.replace(rule, host_port=0)
        for rule in record.ports
    )
    return msgspec.structs.replace(
        record.config,
        cpu=record.cpu,
        ram_mb=record.ram_mb,
        ports=ports if record.connected else record.config.ports,
        saved=record.saved,
    )
