"""One simulated VM: how it is made, boots and ends."""

import uuid
from datetime import datetime, timedelta

import msgspec

from contracts.vms import Overrides, PortForward, VmInfo
from node_agent.drivers.port import VmSpec
from node_agent.drivers.simulated_host import Delays, SimulatedVm

RUNNING, STOPPED, SUSPENDED = "running", "stopped", "suspended"
_COLD = ("vcpu", "vram", "mac_address", "disk", "vlan_tag")
"""Overrides with which a saved state cannot go on."""


def make(spec: VmSpec, forwards: tuple[PortForward, ...], now: datetime) -> SimulatedVm:
    """A VM as specified; of a suspended template it is suspended, where the overrides permit."""
    cold = any(getattr(spec.overrides, name) is not None for name in _COLD)
    wish, identity = spec.overrides, uuid.uuid4()
    info = VmInfo(
        uuid=str(identity),
        name=spec.name,
        status=SUSPENDED if spec.template.suspended and not cold else STOPPED,
        cpu_cores=wish.vcpu or spec.template.cpu,
        ram_mb=wish.vram or spec.template.ram_mb,
        mac_address=wish.mac_address or _mac(identity),
        vnc_password=wish.vnc_password or "",
        port_forwarding=forwards,
        creation_date=now,
        access_date=now,
    )
    return SimulatedVm(
        info=info,
        cloud_id=spec.cloud_id,
        instance_id=spec.instance_id,
        attempt=spec.attempt,
        digest=spec.template.digest,
        repository=spec.template.repository,
        overrides=wish,
        network=wish.network_mode != "disconnected",
    )


def boot(vm: SimulatedVm, address: str, delays: Delays, now: datetime) -> None:
    """From now on it runs; its address shows when the network's delay is over."""
    vm.boots += 1
    vm.info = msgspec.structs.replace(
        vm.info,
        status=RUNNING,
        ip=address if vm.network else "",
        start_date=now,
        access_date=now,
    )
    vm.ready_at = now + timedelta(seconds=delays.network) if delays.network else None
    vm.ends_at = now + timedelta(seconds=delays.lifetime) if delays.lifetime else None


def end(vm: SimulatedVm, at: datetime, status: str = STOPPED) -> None:
    """It was powered off, or suspended."""
    vm.info = msgspec.structs.replace(vm.info, status=status, ip="", stop_date=at)
    vm.ends_at = vm.ready_at = None


def change(vm: SimulatedVm, changes: Overrides) -> None:
    """Take the changes of a restart."""
    if changes.usb_device is not None:
        vm.overrides = msgspec.structs.replace(vm.overrides, usb_device=changes.usb_device)
    if changes.vnc_password is not None:
        vm.info = msgspec.structs.replace(vm.info, vnc_password=changes.vnc_password)


def _mac(identity: uuid.UUID) -> str:
    return "02:" + ":".join(f"{byte:02X}" for byte in identity.bytes[:5])


def logs_of(vm: SimulatedVm | None) -> dict[str, bytes]:
    """What such a guest could have printed; nothing when there is none."""
    if vm is None:
        return {}
    info = vm.info
    told = (
        f"simulated VM {info.name} of instance {vm.instance_id}, attempt {vm.attempt}",
        f"created {info.creation_date}, started {info.start_date}, stopped {info.stop_date}",
        f"status {info.status}",
    )
    return {"console.log": "\n".join((*told, "")).encode()}
