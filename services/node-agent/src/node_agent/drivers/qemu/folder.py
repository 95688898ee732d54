"""A VM's folder on disk: what is known of it (``spec.json``), and where its files are."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from chassis.full_disk import full_disk_as
from contracts.artifacts import (
    DISK_TYPE,
    STATE_TYPE,
    Descriptor,
    Manifest,
    SavedState,
    TemplateConfig,
)
from contracts.templates import TemplateRef
from contracts.vms import PortForward, PortRule
from node_agent.drivers.port import CannotHonour, NoSpace
from node_agent.drivers.qemu.space import write_whole

SPEC = "spec.json"
DISK = "disk.qcow2"
STATE = "state"
"""The memory and devices of a suspended VM."""

CONSOLE = "console.log"
LOG_FILE = "qemu.log"

_LONGEST_NAME = 200
_CONSOLE_LIMIT = 4 * 1024 * 1024
_LOG_LIMIT = 1024 * 1024
_TAIL = 600


class VmRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything needed to start the VM again. ``ram_mb`` in MiB.

    ``manifest`` and ``config`` are those of the tag that it was made of, with the layers that were
    made of its own disk since. ``host_ports`` belong to ``ports`` by position and are empty until
    the first start. ``screen``: it has one, whether or not it is served.

    ``saved``: the VM is suspended, and this is what can restore it; its memory is the blob
    ``state``, else STATE in its folder. While it is set, no process is the running VM.
    ``sealed``: its disk is the last layer, nothing has run since, and it has none of its own.
    """

    name: str
    uuid: str
    template: TemplateRef
    cloud_id: str = ""
    instance_id: str = ""
    attempt: int = 0
    manifest: Manifest
    config: TemplateConfig
    cpu: int
    ram_mb: int
    mac_address: str
    machine: str
    connected: bool = True
    ports: tuple[PortRule, ...] = ()
    host_ports: tuple[int, ...] = ()
    vnc_port: int = 0
    vnc_password: str = ""
    screen: bool = False
    saved: SavedState | None = None
    state: Descriptor | None = None
    sealed: bool = False
    created: datetime
    started: datetime | None = None
    stopped: datetime | None = None

    @property
    def forwards(self) -> tuple[PortForward, ...]:
        """The forwarded ports, in the order of the rules."""
        return tuple(
            PortForward(name=rule.name, guest_port=rule.guest_port, host_port=port)
            for rule, port in zip(self.ports, self.host_ports, strict=False)
        )

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """What an image of the VM as it is sealed has: disks base first, the rest, the state."""
        rest = [d for d in self.manifest.layers if d.media_type not in {DISK_TYPE, STATE_TYPE}]
        return (*self.manifest.disks, *rest, *((self.state,) if self.state else ()))

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """All that it needs of the cache."""
        return (*self.manifest.layers, *((self.state,) if self.state else ()))


class VmFolder:
    """One folder below ``root``, named after the VM."""

    def __init__(self, root: Path, name: str) -> None:
        escaped = quote(name, safe="").replace(".", "%2E")
        if not name or len(escaped) > _LONGEST_NAME:
            raise CannotHonour(f"name: {name!r} is empty or too long for a VM")
        self.path = root / escaped

    @staticmethod
    def names(root: Path) -> Iterator[str]:
        """The VMs that have a folder below ``root``."""
        for entry in sorted(root.iterdir()):
            if entry.is_dir():
                yield unquote(entry.name)

    @property
    def disk(self) -> Path:
        """The VM's own qcow2 layer."""
        return self.path / DISK

    @property
    def state(self) -> Path:
        """Where the memory of a VM goes that is suspended."""
        return self.path / STATE

    def load(self) -> VmRecord | None:
        """What is known; None when the folder is not, or no longer, a whole VM."""
        try:
            return msgspec.json.decode((self.path / SPEC).read_bytes(), type=VmRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def save(self, record: VmRecord) -> None:
        """Replace what is known, whole or not at all. The file may hold a password."""
        with full_disk_as(NoSpace):
            self.path.mkdir(mode=0o700, exist_ok=True)
            write_whole(self.path / SPEC, msgspec.json.encode(record), mode=0o600)

    def remove(self) -> None:
        """Delete everything; what is known goes last, so that a rest still says whose it was."""
        if not self.path.exists():
            return
        for entry in self.path.iterdir():
            if entry.name != SPEC:
                entry.unlink()
        shutil.rmtree(self.path)

    def console_tail(self) -> str:
        """The last lines of the serial console."""
        try:
            text = (self.path / CONSOLE).read_bytes()[-_TAIL:].decode(errors="replace")
        except FileNotFoundError:
            return ""
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())

    def logs(self) -> dict[str, bytes]:
        """The ends of what guest and hypervisor wrote."""
        found = {}
        for name in (CONSOLE, LOG_FILE):
            with contextlib.suppress(FileNotFoundError), (self.path / name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_LIMIT))
                found[name] = file.read(_LOG_LIMIT)
        return {name: content for name, content in found.items() if content}

    def trim_console(self) -> None:
        """Begin a new console log when it is long, keeping the last one; QEMU appends to it."""
        console = self.path / CONSOLE
        if console.exists() and console.stat().st_size > _CONSOLE_LIMIT:
            shutil.copyfile(console, console.with_suffix(".log.1"))
            os.truncate(console, 0)


class Kept:
    """The record of one VM, in memory and in its folder alike."""

    def __init__(self, folder: VmFolder, record: VmRecord) -> None:
        self.folder = folder
        self.record = record

    def keep(self, **changes: Any) -> None:
        """Change some fields, durably."""
        self.record = msgspec.structs.replace(self.record, **changes)
        self.folder.save(self.record)
