"""What a simulated host has beside CPUs and memory: USB devices and VLANs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from contracts.nodes import UsbDevice
from contracts.vms import Overrides
from node_agent.drivers.port import HostFault
from node_agent.drivers.simulated_host import SimulatedVm


class Devices:
    """``claims``: the claim of each USB device; ``vlans``: the ids of those that are connected.

    A VM holds its device from its clone to its deletion.
    """

    def __init__(self, claims: Sequence[str], vlans: tuple[str, ...]) -> None:
        self.claims = claims
        self.vlans = vlans

    def usb(self, vms: Iterable[SimulatedVm]) -> tuple[UsbDevice, ...]:
        """Each device, and whose VM holds it."""
        holders: defaultdict[str, list[str]] = defaultdict(list)
        for vm in vms:
            if vm.overrides.usb_device is not None:
                holders[vm.overrides.usb_device].append(vm.instance_id)
        return tuple(
            UsbDevice(claim=claim, busy=True, instance_id=holders[claim].pop())
            if holders[claim]
            else UsbDevice(claim=claim)
            for claim in self.claims
        )

    def check(self, wish: Overrides, others: Iterable[SimulatedVm]) -> None:
        """Raise HostFault that names what is wished and not there, or held by ``others``."""
        if wish.vlan_tag is not None and wish.vlan_tag not in self.vlans:
            raise HostFault(f"vlan_tag: VLAN {wish.vlan_tag} is not connected")
        if wish.usb_device is not None:
            free = [device.claim for device in self.usb(others) if not device.busy]
            if wish.usb_device not in free:
                raise HostFault(f"usb_device: no device {wish.usb_device} is free")
