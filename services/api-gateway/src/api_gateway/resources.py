"""What is scarce, over all nodes: USB devices, VLANs, MAC addresses."""

from collections import defaultdict

from api_gateway.entries import NodeEntry
from api_gateway.projection import Projection
from api_gateway.public.instances import mac_address
from api_gateway.sync import Sync
from contracts.nodes import NodeState


class Resources:
    """Computed from the projection when asked. A node that is Offline offers nothing."""

    def __init__(self, projection: Projection, sync: Sync) -> None:
        self._view = projection
        self._sync = sync

    async def usb(self, only: frozenset[str] | None = None) -> dict[str, tuple[int, int]]:
        """Claim to the devices that are available and that are busy; ``only`` on these nodes."""
        found: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        held = self._held()
        for node in await self._online(only):
            devices = node.status.facts.usb_devices
            free = node.status.facts.free_usb(held[node.id])
            for claim in {device.claim for device in devices}:
                there = sum(device.claim == claim for device in devices)
                left = max(free[claim], 0)
                available, busy = found[claim]
                found[claim] = (available + left, busy + there - left)
        return dict(sorted(found.items()))

    def usb_is_free(self, node_id: str, claim: str) -> bool:
        """Whether a node has a device that nobody holds."""
        node = self._view.nodes.get(node_id)
        return node is not None and node.status.facts.free_usb(self._held()[node_id])[claim] > 0

    async def vlans(self, only: frozenset[str] | None = None) -> list[str]:
        """Ids of the VLANs that any of these nodes is connected to, numbers in their order."""
        ids = {vlan for node in await self._online(only) for vlan in node.status.facts.vlans}
        return sorted(ids, key=lambda vlan: (not vlan.isdecimal(), len(vlan), vlan))

    async def macs(self) -> set[str]:
        """MAC addresses of instances that may have a VM."""
        await self._sync.wait_loaded()
        statuses = [known.status for known in self._view.instances.known()]
        held = [mac_address(status) for status in statuses if status.live or status.lost]
        return {address for address in held if address}

    async def _online(self, only: frozenset[str] | None) -> list[NodeEntry]:
        await self._sync.wait_loaded()
        known = [node for node in self._view.nodes.known() if only is None or node.id in only]
        return [node for node in known if node.status.state is not NodeState.OFFLINE]

    def _held(self) -> defaultdict[str, dict[str, str]]:
        """Node to the claims of the instances placed there."""
        held: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for instance in self._view.instances.known():
            device = instance.spec.overrides.usb_device
            if device is not None and instance.status.live:
                held[instance.status.node_id][instance.id] = device
        return held
