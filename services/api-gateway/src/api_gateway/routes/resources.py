"""``/api/v1/usb`` and ``/api/v1/vlan``: what the nodes have to offer."""

import msgspec

from api_gateway.public import envelope
from api_gateway.resources import Resources
from api_gateway.web import Call, Routes


class ResourceRoutes:
    """Lists over all nodes."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def table(self) -> Routes:
        """Path to verb to function."""
        return {"/api/v1/usb": {"GET": self.usb}, "/api/v1/vlan": {"GET": self.vlan}}

    async def usb(self, _call: Call) -> bytes:
        """How many devices of each claim are available and busy."""
        counts = await self._resources.usb()
        body = {
            claim: {"available": available, "busy": busy}
            for claim, (available, busy) in counts.items()
        }
        return envelope.ok(msgspec.json.encode(body))

    async def vlan(self, _call: Call) -> bytes:
        """The ids of the VLANs known to any node."""
        return envelope.ok(msgspec.json.encode(await self._resources.vlans()))
