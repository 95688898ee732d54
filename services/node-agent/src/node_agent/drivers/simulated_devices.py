"""What a simulated host has, and which VM holds what of it."""

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from contracts.nodes import UsbDevice
from contracts.vms import Overrides
from node_agent.drivers.port import HostFacts, HostFault
from node_agent.drivers.simulated_host import SimulatedHardware, SimulatedVm


class Devices:
    """``vms`` are those of the host, by name. A VM holds its device until it is deleted."""

    def __init__(self, hardware: SimulatedHardware, vms: Mapping[str, SimulatedVm]) -> None:
        self._hardware = hardware
        self._facts = hardware.facts
        self._vms = vms

    def facts(self) -> HostFacts:
        """The host with its devices as they are now."""
        if not self._hardware.usb_devices:
            return self._facts
        return msgspec.structs.replace(self._facts, usb_devices=self._usb())

    def check(self, wish: Overrides, *, but: SimulatedVm | None = None) -> None:
        """Raise HostFault that names what is wished and not there, or held by others than ``but``.

        What such a VM holds itself counts as free.
        """
        if wish.vlan_tag is not None and wish.vlan_tag not in self._hardware.vlans:
            raise HostFault(f"vlan_tag: VLAN {wish.vlan_tag} is not connected")
        if wish.usb_device is not None:
            free = [device.claim for device in self._usb(but) if not device.busy]
            if wish.usb_device not in free:
                raise HostFault(f"usb_device: no device {wish.usb_device} is free")

    def _usb(self, but: SimulatedVm | None = None) -> tuple[UsbDevice, ...]:
        """Each device, and whose VM holds it."""
        holders: defaultdict[str, list[str]] = defaultdict(list)
        for vm in self._vms.values():
            if vm.overrides.usb_device is not None and vm is not but:
                holders[vm.overrides.usb_device].append(vm.instance_id)
        return tuple(
            UsbDevice(claim=claim, busy=True, instance_id=holders[claim].pop())
            if holders[claim]
            else UsbDevice(claim=claim)
            for claim in self._hardware.usb_devices
        )
