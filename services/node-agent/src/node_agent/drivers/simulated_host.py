"""The make-believe hypervisor behind the simulated driver: its VMs, its history, its faults."""

import contextlib
import os
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from contracts.nodes import CachedTemplate, HypervisorVersion, NodeUsage
from contracts.templates import TemplateRef
from contracts.vms import Overrides, VmInfo
from node_agent.drivers.port import HostFacts, ListedVm


class Delays(msgspec.Struct, frozen=True, kw_only=True):
    """How long the verbs take, in seconds. ``network``: from the start until there is an address.

    ``lifetime``: after so long the guest shuts itself down; 0 means never. ``save``: to make an
    image, beyond the ``stop``.
    """

    pull: float = 0.0
    clone: float = 0.0
    start: float = 0.0
    network: float = 0.0
    script: float = 0.0
    stop: float = 0.0
    lifetime: float = 0.0
    save: float = 0.0


class SimulatedHardware(msgspec.Struct, frozen=True, kw_only=True):
    """The host that is pretended: GiB of memory, bytes of disk, a claim for each USB device."""

    arch: str = "amd64"
    cpu_count: int = 16
    ram_gb: int = 64
    disk_size: int = 1 << 40
    usb_devices: tuple[str, ...] = ()
    vlans: tuple[str, ...] = ()

    @property
    def facts(self) -> HostFacts:
        """What a driver says of it."""
        return HostFacts(
            arch=self.arch,
            cpu_count=self.cpu_count,
            ram_gb=self.ram_gb,
            disk_size=self.disk_size,
            hypervisor=HypervisorVersion(product="Corral simulated", version="1.0", build="0"),
            vlans=self.vlans,
        )


class FaultKind(StrEnum):
    """What goes wrong. HANG: the verb never returns. LOSE: the VM vanishes after the verb.

    POWER_OFF: the guest shuts down right after the verb.
    """

    HOST_FAULT = "host-fault"
    CANNOT_HONOUR = "cannot-honour"
    NO_SPACE = "no-space"
    HANG = "hang"
    LOSE = "lose"
    POWER_OFF = "power-off"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault on request: the ``nth`` call of a verb on the node (from 1), or every nth."""

    verb: str
    nth: int
    kind: FaultKind = FaultKind.HOST_FAULT
    every: bool = False

    def strikes(self, call: int) -> bool:
        """Whether this call, counted from 1, is struck."""
        return call % self.nth == 0 if self.every else call == self.nth


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was done to a VM: clone, start, resume, restart, script, stop, suspend or delete."""

    at: datetime
    verb: str
    name: str
    instance_id: str = ""
    attempt: int = 0


class SimulatedVm(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A VM as the make-believe hypervisor keeps it, one JSON file each.

    ``boots``: how often it has begun to run, so how often its disk has changed.
    """

    info: VmInfo
    ready_at: datetime | None = None
    ends_at: datetime | None = None
    cloud_id: str = ""
    instance_id: str = ""
    attempt: int = 0
    digest: str = ""
    repository: str = ""
    network: bool = True
    boots: int = 0
    overrides: Overrides = Overrides()

    def listed(self, info: VmInfo) -> ListedVm:
        """The VM with its labels; ``info`` is it as of now."""
        return ListedVm(
            info=info,
            cloud_id=self.cloud_id,
            instance_id=self.instance_id,
            attempt=self.attempt,
        )


class Hypervisor:
    """The VMs and cached templates of one simulated node.

    With a folder, every VM is the file ``<folder>/<vm name>.json`` and every change of one is a
    line of ``<folder>/history.log``, both written before the verb returns, so that they outlive
    a killed agent. Without a folder both are in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._root = f"{folder}/"
        self._encode = msgspec.json.Encoder().encode
        self._history: list[HistoryLine] = []
        self.vms: dict[str, SimulatedVm] = {}
        self.templates: dict[str, CachedTemplate] = {}
        self.sizes: dict[str, int] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._load(folder)

    def save(self, vm: SimulatedVm, verb: str, at: datetime) -> None:
        """Keep a VM as it is now, and say in the history what was done to it."""
        self.vms[vm.info.name] = vm
        if self._folder is not None:
            self._write(f"{vm.info.name}.json", vm)
        self.note(vm, verb, at)

    def remove(self, vm: SimulatedVm, verb: str, at: datetime) -> None:
        """Forget a VM, and say so in the history."""
        del self.vms[vm.info.name]
        if self._folder is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._root}{vm.info.name}.json")  # noqa: PTH108 -- see _write
        self.note(vm, verb, at)

    def note(self, vm: SimulatedVm, verb: str, at: datetime) -> None:
        """Add a line to the history."""
        line = HistoryLine(
            at=at,
            verb=verb,
            name=vm.info.name,
            instance_id=vm.instance_id,
            attempt=vm.attempt,
        )
        if self._folder is None:
            self._history.append(line)
            return
        log = os.open(f"{self._root}history.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(log, self._encode(line) + b"\n")
        finally:
            os.close(log)

    def history(self) -> Sequence[HistoryLine]:
        """Every line so far, oldest first."""
        if self._folder is None:
            return tuple(self._history)
        return read_history(self._folder)

    def usage(self, hardware: SimulatedHardware) -> NodeUsage:
        """CPUs and memory of VMs that run count as used."""
        running = [vm.info for vm in self.vms.values() if vm.info.status == "running"]
        used = sum(self.sizes.values())
        return NodeUsage(
            cpu_util=min(sum(info.cpu_cores for info in running) / hardware.cpu_count, 1.0),
            ram_util=min(sum(info.ram_mb for info in running) / (hardware.ram_gb * 1024), 1.0),
            free_disk=max(hardware.disk_size - used, 0),
            used_disk=used,
        )

    def keep_template(self, template: TemplateRef) -> None:
        """Put a tag at the recently used end of the cache."""
        digest = template.digest
        self.templates.pop(digest, None)
        self.templates[digest] = CachedTemplate(
            id=template.id, name=template.name, tag=template.tag, digest=digest, layers=(digest,)
        )
        self.sizes[digest] = template.size
        self._save_templates()

    def drop_template(self, digest: str) -> None:
        """Take a tag out of the cache."""
        self.templates.pop(digest, None)
        self.sizes.pop(digest, None)
        self._save_templates()

    def touch_template(self, digest: str) -> None:
        """Note that a tag was used just now (the order survives the next write only)."""
        self.templates[digest] = self.templates.pop(digest)

    def _save_templates(self) -> None:
        if self._folder is not None:
            cache = [(t, self.sizes[d]) for d, t in self.templates.items()]
            self._write("templates.cache", cache)

    def _load(self, folder: Path) -> None:
        for path in folder.glob("*.json"):
            if not path.stat().st_size:  # killed between making and filling the file
                path.unlink()
                continue
            vm = msgspec.json.decode(path.read_bytes(), type=SimulatedVm)
            self.vms[vm.info.name] = vm
        cache = folder / "templates.cache"
        if cache.exists() and cache.stat().st_size:
            kept = msgspec.json.decode(cache.read_bytes(), type=list[tuple[CachedTemplate, int]])
            self.templates = {template.digest: template for template, _ in kept}
            self.sizes = {template.digest: size for template, size in kept}

    def _write(self, name: str, value: object) -> None:
        """One write over what was there, blanks behind it: whole at whatever moment of a kill.

        Plain system calls, since a start of a simulated VM should cost next to nothing.
        """
        data = self._encode(value)
        file = os.open(self._root + name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            before = os.fstat(file).st_size
            os.pwrite(file, data.ljust(before), 0)
        finally:
            os.close(file)


def read_history(folder: Path) -> list[HistoryLine]:
    """The history of a simulated node, from its folder: the oracle of race tests."""
    log = folder / "history.log"
    if not log.exists():
        return []
    return [msgspec.json.decode(line, type=HistoryLine) for line in log.read_bytes().splitlines()]
