"""The driver for QEMU: the verbs of the port, over a cache of templates and folders of VMs."""

import asyncio
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import psutil

from chassis.clock import Clock
from contracts.nodes import CachedTemplate, HypervisorVersion, NodeUsage
from contracts.templates import TemplateRef
from contracts.vms import Overrides, ScriptResult, VmInfo
from node_agent.drivers.port import (
    NO_CHANGES,
    CannotHonour,
    Capability,
    HostFacts,
    HostFault,
    ImageSource,
    ListedVm,
    Progress,
    SavedImage,
    VmMissing,
    VmSpec,
)
from node_agent.drivers.qemu import overrides, process
from node_agent.drivers.qemu.accelerator import Accelerator, AcceleratorChoice
from node_agent.drivers.qemu.cache import Cached, TemplateCache
from node_agent.drivers.qemu.folder import VmFolder, VmRecord
from node_agent.drivers.qemu.launch import Host, Means
from node_agent.drivers.qemu.program import Program
from node_agent.drivers.qemu.qcow2 import create_overlay, read_header
from node_agent.drivers.qemu.space import used
from node_agent.drivers.qemu.status import FAILED
from node_agent.drivers.qemu.vm import Vm

ARCHITECTURE = "amd64"
_GIB = 1024**3
_LOOPBACK = "127.0.0.1"


class QemuSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the driver works on this host. Durations in seconds.

    ``root`` holds templates and VMs. ``host`` is the address that clients are told; ``bind`` is
    where forwarded ports listen, by default ``host`` where that is an address of this machine,
    else loopback.
    """

    root: Path
    host: str = "127.0.0.1"
    bind: str = ""
    first_port: int = 10000
    last_port: int = 19999
    accelerator: Accelerator = Accelerator.AUTO
    ready_seconds: float = 60.0
    stop_seconds: float = 15.0


class QemuDriver:
    """See VmDriver."""

    name = "qemu"
    capabilities = frozenset(
        {
            Capability.SUSPEND,
            Capability.COMMIT,
            Capability.VCPU,
            Capability.VRAM,
            Capability.DISK,
            Capability.MAC_ADDRESS,
            Capability.PORT_FORWARDING,
            Capability.NETWORK_MODE,
            Capability.VNC_PASSWORD,
        }
    )

    def __init__(self, settings: QemuSettings, clock: Clock) -> None:
        root = settings.root.resolve()
        self._root = root
        self._folders = root / "vms"
        self._folders.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._cache = self.shelf = TemplateCache(root)
        self._program = Program(AcceleratorChoice(settings.accelerator, root / "accelerator.json"))
        self._vms: dict[str, Vm] = {}
        self._host = Host(
            address=settings.host,
            bind=settings.bind or _bind(settings.host),
            port_range=range(settings.first_port, settings.last_port + 1),
            clock=clock,
            ready_seconds=settings.ready_seconds,
            stop_seconds=settings.stop_seconds,
        )

    async def facts(self) -> HostFacts:
        """See VmDriver."""
        return HostFacts(
            arch=ARCHITECTURE,
            cpu_count=os.cpu_count() or 1,
            ram_gb=round(psutil.virtual_memory().total / _GIB),
            disk_size=shutil.disk_usage(self._root).total,
            hypervisor=HypervisorVersion(product="qemu", version=await self._program.version()),
        )

    async def usage(self) -> NodeUsage:
        """See VmDriver."""
        return NodeUsage(
            cpu_util=psutil.cpu_percent() / 100,
            ram_util=psutil.virtual_memory().percent / 100,
            free_disk=shutil.disk_usage(self._root).free,
            used_disk=await asyncio.to_thread(used, self._root),
        )

    async def templates(self) -> Sequence[CachedTemplate]:
        """See VmDriver."""
        return self._cache.listed()

    async def missing_bytes(self, template: TemplateRef, source: ImageSource) -> int:
        """See VmDriver."""
        return await self._cache.missing_bytes(template, source)

    async def pull(self, template: TemplateRef, source: ImageSource, progress: Progress) -> None:
        """See VmDriver."""
        await self._cache.pull(template, source, progress)

    async def evict(self, template: CachedTemplate | None) -> None:
        """See VmDriver."""
        self._look()
        records = [vm.record for vm in self._vms.values()]
        for record in records:
            tag = (record.template.id, record.template.tag)
            if template and tag == (template.id, template.tag):
                raise HostFault(f"{template.name}:{template.tag} is in use by VM {record.name}")
        in_use = [self._cache.blobs.path(blob) for record in records for blob in record.blobs]
        self._cache.evict(template, in_use)

    async def clone(self, spec: VmSpec) -> None:
        """See VmDriver."""
        cached = self._cache.find(spec.template)
        if cached is None:
            raise HostFault(f"{spec.template.name}:{spec.template.tag} is not on this node")
        top = self._cache.layers(cached)[-1]
        record, disk_size = self._record(spec, cached, top)
        folder = VmFolder(self._folders, spec.name)
        if folder.path.exists():
            raise HostFault(f"a VM named {spec.name} exists already")
        folder.save(record)
        self._vms[spec.name] = Vm(folder, record, self._host)
        self._cache.touch(cached)
        await create_overlay(folder.disk, top, disk_size)

    async def start(self, name: str) -> VmInfo:
        """See VmDriver."""
        vm = self._find(name)
        return await vm.start(await self._means(vm))

    async def info(self, name: str) -> VmInfo:
        """See VmDriver."""
        return await self._find(name).info()

    async def run_script(
        self, name: str, script: bytes, timeout: float, *, kill: bool = True
    ) -> ScriptResult:
        """See VmDriver."""
        return await self._find(name).run_script(script, timeout, kill=kill)

    async def restart(self, name: str, changes: Overrides = NO_CHANGES) -> VmInfo:
        """See VmDriver."""
        vm = self._find(name)
        password = overrides.new_password(changes)
        return await vm.restart(await self._means(vm), password)

    async def stop(self, name: str) -> None:
        """See VmDriver."""
        await self._find(name).stop()

    async def save(self, name: str, *, suspend: bool, test: bool = False) -> SavedImage:
        """See VmDriver."""
        vm = self._find(name)
        return await vm.save(await self._means(vm), suspend=suspend, test=test)

    async def delete(self, name: str) -> None:
        """See VmDriver."""
        broken = self._look()
        if vm := self._vms.get(name):
            await vm.delete()
            self._vms.pop(name, None)
        elif name in broken:
            await self._delete_rest(name)

    async def logs(self, name: str) -> Mapping[str, bytes]:
        """See VmDriver. The guest's console, and what QEMU itself said."""
        return await asyncio.to_thread(VmFolder(self._folders, name).logs)

    async def list_vms(self) -> Sequence[ListedVm]:
        """See VmDriver. A folder that is no whole VM is listed as failed."""
        broken = self._look()
        listed = await asyncio.gather(*(_listed(vm) for vm in self._vms.values()))
        return [
            *(vm for vm in listed if vm),
            *(ListedVm(info=VmInfo(uuid="", name=name, status=FAILED)) for name in broken),
        ]

    def _record(self, spec: VmSpec, cached: Cached, top: Path) -> tuple[VmRecord, int | None]:
        config, states = cached.config, cached.manifest.states
        if config.arch != ARCHITECTURE:
            raise CannotHonour(f"{spec.template.name} is for {config.arch}, not {ARCHITECTURE}")
        hardware = overrides.apply(config, spec.overrides, read_header(top).size)
        saved = config.saved if states else None
        if saved and not overrides.restorable(saved, spec.overrides, hardware):
            saved = None
        record = VmRecord(
            name=spec.name,
            uuid=str(uuid.uuid4()),
            template=spec.template,
            cloud_id=spec.cloud_id,
            instance_id=spec.instance_id,
            attempt=spec.attempt,
            manifest=cached.manifest,
            config=config,
            cpu=hardware.cpu,
            ram_mb=hardware.ram_mb,
            mac_address=saved.mac_address.upper() if saved else hardware.mac_address,
            machine=hardware.machine,
            connected=hardware.connected,
            ports=hardware.ports,
            vnc_password=hardware.vnc_password,
            screen=bool(hardware.vnc_password or (saved and saved.vnc)),
            saved=saved,
            state=states[0] if saved else None,
            created=self._host.clock.now(),
        )
        return record, hardware.disk_size

    async def _means(self, vm: Vm) -> Means:
        kernel = vm.record.manifest.kernel
        kernels = [self._cache.blobs.path(kernel)] if kernel else self._cache.kernels()
        return Means(
            offer=await self._program.offer(next(iter(kernels), None)),
            blobs=self._cache.blobs,
            taken=lambda: self._taken(vm),
        )

    def _taken(self, vm: Vm) -> set[int]:
        others = [other.record for other in self._vms.values() if other is not vm]
        return {port for record in others for port in record.host_ports}

    def _find(self, name: str) -> Vm:
        self._look()
        if name not in self._vms:
            raise VmMissing(f"{name}: not found")
        return self._vms[name]

    def _look(self) -> list[str]:
        """Know every VM that has a folder, and no other; what cannot be read is returned."""
        names = set(VmFolder.names(self._folders))
        for name in self._vms.keys() - names:
            del self._vms[name]
        broken = []
        for name in sorted(names - self._vms.keys()):
            folder = VmFolder(self._folders, name)
            if record := folder.load():
                self._vms[name] = Vm(folder, record, self._host)
            else:
                broken.append(name)
        return broken

    async def _delete_rest(self, name: str) -> None:
        folder = VmFolder(self._folders, name)
        for pid in await asyncio.to_thread(process.every, folder.path):
            await process.end(pid)
        await asyncio.to_thread(folder.remove)


async def _listed(vm: Vm) -> ListedVm | None:
    try:
        return await vm.listed()
    except VmMissing:
        return None


def _bind(host: str) -> str:
    """The published address where it is one of this machine's, as behind NAT it is not."""
    own = {a.address for found in psutil.net_if_addrs().values() for a in found}
    return host if host in own else _LOOPBACK
