"""``/api/v1/registry/vm`` and ``/api/v1/registry/disk``."""

import msgspec

from api_gateway.catalogue import Catalogue
from api_gateway.projection import Projection
from api_gateway.public import envelope
from api_gateway.public.templates import brief, detailed, listed
from api_gateway.registry_client import Registry
from api_gateway.sync import Sync
from api_gateway.web import Call, Routes

_STARTING_SECONDS = 2.0


class TemplateRoutes:
    """What the registry holds."""

    def __init__(
        self, projection: Projection, sync: Sync, catalogue: Catalogue, registry: Registry
    ) -> None:
        self._templates = projection.templates
        self._sync = sync
        self._catalogue = catalogue
        self._registry = registry

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/registry/vm": {"GET": self.get},
            "/api/v1/registry/disk": {"GET": self.disk},
        }

    async def get(self, call: Call) -> bytes:
        """All templates, or one with its tags."""
        identity = call.query("id")
        if identity is not None:
            return envelope.ok(detailed(await self._catalogue.template(identity)))
        await self._sync.wait_loaded(_STARTING_SECONDS)
        encode = brief if call.query("apiVer") == "v1" else listed
        return envelope.ok_list([encode(known) for known in self._templates.by_id.values()])

    async def disk(self, _call: Call) -> bytes:
        """The registry's storage, as of the last poll; asked for when that failed."""
        disk = self._registry.disk or await self._registry.read_disk()
        return envelope.ok(msgspec.json.encode(disk))
