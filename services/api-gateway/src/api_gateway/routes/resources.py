"""``/api/v1/usb`` and ``/api/v1/vlan``: what the nodes have to offer."""

import msgspec

from api_gateway.auth import nodes
from api_gateway.operation import operation
from api_gateway.public import envelope
from api_gateway.public.cloud import UsbDevices
from api_gateway.resources import Resources
from api_gateway.web import Call, Routes


class ResourceRoutes:
    """Lists over all nodes."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def table(self) -> Routes:
        """Path to verb to function."""
        return {"/api/v1/usb": {"GET": self.usb}, "/api/v1/vlan": {"GET": self.vlan}}

    @operation(dict[str, UsbDevices])
    async def usb(self, call: Call) -> bytes:
        """How many devices of each claim are available and busy on the nodes that one may see."""
        counts = await self._resources.usb(call.access.nodes(nodes.LIST))
        body = {
            claim: UsbDevices(available=available, busy=busy)
            for claim, (available, busy) in counts.items()
        }
        return envelope.ok(msgspec.json.encode(body))

    @operation(list[str])
    async def vlan(self, call: Call) -> bytes:
        """The ids of the VLANs known to any node that the caller may see."""
        ids = await self._resources.vlans(call.access.nodes(nodes.LIST))
        return envelope.ok(msgspec.json.encode(ids))
