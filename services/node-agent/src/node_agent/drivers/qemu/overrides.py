"""Which overrides QEMU honours, and the VM that results; refusals name the field."""

import ipaddress
import re
import secrets

import msgspec

from contracts.artifacts import SavedState, TemplateConfig
from contracts.vms import Disk, Overrides, PortRule
from node_agent.drivers.port import CannotHonour

_REFUSED = (
    *("vlan_tag", "network_local", "video_controller", "hvapic", "csr_active_config"),
    *("hw_serial", "hw_uuid", "usb_device"),
)
_USER_NETWORK = frozenset({"shared", "nat"})
_NO_NETWORK = "disconnected"
_MAC = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")
_MACHINE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_MULTICAST = 1
_MOST_CPUS = 255
_LEAST_RAM_MB = 64
_HIGHEST_PORT = 65535
_VNC_PASSWORD = 8
_SECTOR = 512


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """The VM as wished: template and overrides together. ``ram_mb`` MiB, ``disk_size`` bytes."""

    cpu: int
    ram_mb: int
    machine: str
    mac_address: str
    connected: bool
    ports: tuple[PortRule, ...]
    vnc_password: str
    disk_size: int | None


def apply(config: TemplateConfig, overrides: Overrides, template_disk: int) -> Hardware:
    """The hardware of a VM whose template's disk has ``template_disk`` bytes.

    CannotHonour names the field of the public API that cannot be done.
    """
    _check_supported(overrides)
    connected = _connected(overrides.network_mode or config.network_mode)
    return Hardware(
        cpu=_within("vcpu", overrides.vcpu or config.cpu, 1, _MOST_CPUS),
        ram_mb=_within("vram", overrides.vram or config.ram_mb, _LEAST_RAM_MB),
        machine=_machine(config.machine or "q35"),
        mac_address=_mac(overrides.mac_address),
        connected=connected,
        ports=_ports(config.ports, overrides.port_forwarding_override, connected=connected),
        vnc_password=_vnc_password(overrides.vnc_password or ""),
        disk_size=_disk_size(overrides.disk, template_disk),
    )


def new_password(changes: Overrides) -> str | None:
    """The VNC password that a restart sets, if it does. CannotHonour."""
    _check_supported(changes)
    return None if changes.vnc_password is None else _vnc_password(changes.vnc_password)


def restorable(saved: SavedState, overrides: Overrides, hardware: Hardware) -> bool:
    """Whether a VM as wished can go on from the state; else its disk is booted."""
    mac = saved.mac_address.upper()
    return (
        overrides.disk is None
        and (saved.cpu, saved.ram_mb) == (hardware.cpu, hardware.ram_mb)
        and (not overrides.mac_address or hardware.mac_address == mac)
        and (saved.vnc or not hardware.vnc_password)
        # From elsewhere, and an argument of QEMU's.
        and all((_MACHINE.fullmatch(saved.machine), _MAC.fullmatch(mac)))
    )


def _check_supported(overrides: Overrides) -> None:
    for field in _REFUSED:
        if getattr(overrides, field):
            raise CannotHonour(f"{field} is not supported by the qemu driver")


def _within(field: str, value: int, least: int, most: int | None = None) -> int:
    if value < least or (most and value > most):
        raise CannotHonour(f"{field} {value} is not supported by the qemu driver")
    return value


def _machine(machine: str) -> str:
    """From the template, hence from elsewhere: nothing that QEMU would read as an option."""
    if not _MACHINE.fullmatch(machine):
        raise CannotHonour(f"machine {machine!r} is not supported by the qemu driver")
    return machine


def _connected(mode: str) -> bool:
    if mode and mode not in _USER_NETWORK and mode != _NO_NETWORK:
        raise CannotHonour(f"network_mode {mode} is not supported by the qemu driver")
    return mode != _NO_NETWORK


def random_mac() -> str:
    """A card's address in the range that QEMU uses."""
    return "52:54:00:" + ":".join(f"{byte:02X}" for byte in secrets.token_bytes(3))


def _mac(wished: str | None) -> str:
    if not wished:
        return random_mac()
    mac = wished.upper()
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & _MULTICAST:
        raise CannotHonour(f"mac_address {wished} is not the address of a network card")
    return mac


def _ports(
    template: tuple[PortRule, ...], wished: tuple[PortRule, ...] | None, *, connected: bool
) -> tuple[PortRule, ...]:
    if not connected:
        if wished:
            raise CannotHonour("port_forwarding_override with network_mode disconnected")
        return ()
    rules = template if wished is None else wished
    for rule in rules:
        _within("port_forwarding_override: guest_port", rule.guest_port, 1, _HIGHEST_PORT)
        _within("port_forwarding_override: host_port", rule.host_port, 0, _HIGHEST_PORT)
        if rule.host_ip:
            _check_host_ip(rule.host_ip)
    return rules


def _check_host_ip(address: str) -> None:
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise CannotHonour(
            f"port_forwarding_override: host_ip {address} is not an IPv4 address"
        ) from None


def _vnc_password(password: str) -> str:
    """The protocol compares eight bytes; a longer one would be weaker than it looks."""
    if len(password.encode()) > _VNC_PASSWORD:
        raise CannotHonour(f"vnc_password is longer than {_VNC_PASSWORD} characters")
    return password


def _disk_size(wished: Disk | None, template: int) -> int | None:
    if wished is None:
        return None
    if wished.size < template:
        raise CannotHonour(f"disk of {wished.size} bytes is below the template's {template}")
    return -(-wished.size // _SECTOR) * _SECTOR
