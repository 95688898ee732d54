"""QEMU's argument list for one VM. Paths in the VM's folder are relative: QEMU runs there."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from contracts.artifacts import SavedState
from node_agent.drivers.qemu import guest_agent, qmp
from node_agent.drivers.qemu.folder import CONSOLE, VmRecord
from node_agent.drivers.qemu.process import GIVEN, PID_FILE

PROGRAM = "qemu-system-x86_64"
NETWORK_CARD = "nic0"
FIRST_VNC_PORT = 5900

_LAST_VNC_DISPLAY = 999
_AGENT_PORT = "org.qemu.guest_agent.0"
_HOST_CPU = "host"
_CPU = {"kvm": _HOST_CPU, "tcg": "max"}
_MODEL_NAME = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
_LONGEST_HOSTNAME = 63


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """What a start of QEMU needs beyond the record.

    ``disks``: the VM's own and those below it that have another folder, topmost first.
    ``bind``: where ports listen. ``cores``: the host's. ``restored``: a saved state is read from
    GIVEN.
    """

    accelerator: str
    bind: str
    disks: tuple[Path, ...]
    cores: int = os.cpu_count() or 1
    kernel: Path | None = None
    initrd: Path | None = None
    restored: SavedState | None = None


def arguments(record: VmRecord, boot: Boot) -> list[str]:
    """The command that runs the VM, paused, until it is told to continue."""
    machine = boot.restored.machine if boot.restored else record.machine
    return [
        PROGRAM,
        *("-name", f"guest={record.name.replace(',', ',,')}", "-uuid", record.uuid),
        *("-nodefaults", "-no-user-config", "-display", "none", "-S"),
        *("-accel", _accelerator(boot.accelerator, record.cpu, boot.cores), "-machine", machine),
        *("-cpu", _CPU[boot.accelerator], "-smp", str(record.cpu), "-m", str(record.ram_mb)),
        *_kernel(record, boot),
        *_disk(boot.disks),
        *_network(record, boot.bind),
        *_guest_agent(),
        *("-device", "virtio-rng-pci"),
        *("-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console"),
        *_screen(record, boot.bind),
        *("-qmp", f"unix:{qmp.SOCKET},server=on,wait=off", "-pidfile", PID_FILE),
        *(("-incoming", f"fd:{GIVEN}") if boot.restored else ()),
    ]


def cpu_model(accelerator: str) -> str:
    """The processor that guests see; with KVM it is this host's own, by its name."""
    model = _CPU[accelerator]
    if model != _HOST_CPU:
        return model
    named = _MODEL_NAME.search(Path("/proc/cpuinfo").read_text())
    return f"{model}: {named[1]}" if named else model


def probe_arguments(accelerator: str, kernel: Path) -> list[str]:
    """A machine that boots ``kernel`` as far as it comes without a disk, its console on stdout."""
    return [
        PROGRAM,
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-accel", _accelerator(accelerator, 1, 1), "-machine", "q35", "-cpu", _CPU[accelerator]),
        *("-m", "128", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
        *("-serial", "stdio"),
    ]


def hostname(name: str) -> str:
    """The VM's name as a guest's host name."""
    dashed = re.sub(r"[^a-z0-9]+", "-", name.lower())
    return dashed[:_LONGEST_HOSTNAME].strip("-") or "vm"


def _accelerator(name: str, cpus: int, cores: int) -> str:
    """Emulated CPUs take turns unless the host has a core to spare for each.

    With threads of their own they would starve each other on a busy host: guests then boot more
    slowly, and now and then one misses its timers and hangs.
    """
    if name != "tcg":
        return name
    return f"tcg,thread={'multi' if cpus < cores else 'single'},tb-size=64"


def _kernel(record: VmRecord, boot: Boot) -> list[str]:
    if boot.kernel is None:
        return ["-boot", "order=c"]
    command_line = record.config.cmdline or "console=ttyS0 quiet"
    given = ["-kernel", str(boot.kernel), "-append", command_line]
    return [*given, "-initrd", str(boot.initrd)] if boot.initrd else given


def _disk(disks: Sequence[Path]) -> list[str]:
    own, *below = disks
    node: dict[str, Any] = {
        "driver": "qcow2",
        "node-name": "disk0",
        "discard": "unmap",
        # A clone does not outlive its host, so it need not wait for the host's disk.
        "cache": {"no-flush": True},
        "file": {"driver": "file", "filename": str(own), "cache": {"no-flush": True}},
    }
    top = node
    for disk in below:
        file = {"driver": "file", "filename": str(disk)}
        top["backing"] = {"driver": "qcow2", "read-only": True, "file": file}
        top = top["backing"]
    return ["-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=disk0,id=vblk0"]


def _network(record: VmRecord, bind: str) -> list[str]:
    forwards = [
        f",hostfwd=tcp:{rule.host_ip or bind}:{port}-:{rule.guest_port}"
        for rule, port in zip(record.ports, record.host_ports, strict=True)
    ]
    return [
        *("-netdev", f"user,id=net0,hostname={hostname(record.name)}" + "".join(forwards)),
        "-device",
        f"virtio-net-pci,netdev=net0,id={NETWORK_CARD},mac={record.mac_address},romfile=",
    ]


def _guest_agent() -> list[str]:
    return [
        *("-chardev", f"socket,id=agent,path={guest_agent.SOCKET},server=on,wait=off"),
        *("-device", "virtio-serial-pci"),
        *("-device", f"virtserialport,chardev=agent,name={_AGENT_PORT}"),
    ]


def _screen(record: VmRecord, bind: str) -> list[str]:
    """None is served without a password: whoever reaches the port would own the guest."""
    device = ["-device", "VGA"] if record.screen else []
    if not record.vnc_password:
        return device
    display = max(0, record.vnc_port - FIRST_VNC_PORT)
    return ["-vnc", f"{bind}:{display},to={_LAST_VNC_DISPLAY},password=on", *device]
