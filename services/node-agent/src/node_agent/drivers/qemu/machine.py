"""QEMU's argument list for one VM. Paths in the VM's folder are relative: QEMU runs there."""

import json
import re
from pathlib import Path

from node_agent.drivers.qemu import guest_agent, qmp
from node_agent.drivers.qemu.folder import CONSOLE, DISK, VmRecord
from node_agent.drivers.qemu.process import PID_FILE

PROGRAM = "qemu-system-x86_64"
NETWORK_CARD = "nic0"
FIRST_VNC_PORT = 5900

_LAST_VNC_DISPLAY = 999
_AGENT_PORT = "org.qemu.guest_agent.0"
_CPU = {"kvm": "host", "tcg": "max"}
_ACCELERATOR = {"kvm": "kvm", "tcg": "tcg,thread=multi,tb-size=64"}
_LONGEST_HOSTNAME = 63


def arguments(
    record: VmRecord, *, accelerator: str, bind: str, kernel: Path | None, initrd: Path | None
) -> list[str]:
    """The command that runs the VM, paused, until it is told to continue."""
    return [
        PROGRAM,
        *("-name", f"guest={record.name.replace(',', ',,')}", "-uuid", record.uuid),
        *("-nodefaults", "-no-user-config", "-display", "none", "-S"),
        *("-accel", _ACCELERATOR[accelerator], "-machine", record.machine),
        *("-cpu", _CPU[accelerator], "-smp", str(record.cpu), "-m", str(record.ram_mb)),
        *_boot(record, kernel, initrd),
        *_disk(),
        *_network(record, bind),
        *_guest_agent(),
        *("-device", "virtio-rng-pci"),
        *("-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console"),
        *_screen(record, bind),
        *("-qmp", f"unix:{qmp.SOCKET},server=on,wait=off", "-pidfile", PID_FILE),
    ]


def probe_arguments(accelerator: str, kernel: Path) -> list[str]:
    """A machine that boots ``kernel`` as far as it comes without a disk, its console on stdout."""
    return [
        PROGRAM,
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-accel", _ACCELERATOR[accelerator], "-machine", "q35", "-cpu", _CPU[accelerator]),
        *("-m", "128", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
        *("-serial", "stdio"),
    ]


def hostname(name: str) -> str:
    """The VM's name as a guest's host name."""
    dashed = re.sub(r"[^a-z0-9]+", "-", name.lower())
    return dashed[:_LONGEST_HOSTNAME].strip("-") or "vm"


def _boot(record: VmRecord, kernel: Path | None, initrd: Path | None) -> list[str]:
    if kernel is None:
        return ["-boot", "order=c"]
    command_line = record.cmdline or "console=ttyS0 quiet"
    given = ["-kernel", str(kernel), "-append", command_line]
    return [*given, "-initrd", str(initrd)] if initrd else given


def _disk() -> list[str]:
    node = {
        "driver": "qcow2",
        "node-name": "disk0",
        "discard": "unmap",
        # A clone does not outlive its host, so it need not wait for the host's disk.
        "cache": {"no-flush": True},
        "file": {"driver": "file", "filename": DISK, "cache": {"no-flush": True}},
    }
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
    """No screen without a password: whoever reaches the port would own the guest."""
    if not record.vnc_password:
        return []
    display = max(0, record.vnc_port - FIRST_VNC_PORT)
    return ["-vnc", f"{bind}:{display},to={_LAST_VNC_DISPLAY},password=on", "-device", "VGA"]
