"""``/api/v1/registry/vm``, ``/api/v1/registry/revert`` and ``/api/v1/registry/disk``."""

from types import NoneType

import msgspec

from api_gateway.catalogue import Catalogue
from api_gateway.domain.paging import read_page
from api_gateway.entries import digest_of
from api_gateway.listing import listing_of
from api_gateway.operation import operation
from api_gateway.projection import Projection
from api_gateway.public import envelope
from api_gateway.public.templates import (
    BriefTemplate,
    DetailedTemplate,
    PublicTemplate,
    brief,
    detailed,
)
from api_gateway.public.templates import listed as short
from api_gateway.registry_client import Asker, Registry, RegistryDisk
from api_gateway.replies import Reply
from api_gateway.requests.templates import Reversion, TemplateQuery
from api_gateway.requests.values import ById, Conditional
from api_gateway.routes.lists import LISTED, listed
from api_gateway.sync import Sync
from api_gateway.web import Call, Routes
from contracts.templates import TemplateDocument


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
            "/api/v1/registry/vm": {"GET": self.get, "DELETE": self.delete},
            "/api/v1/registry/revert": {"DELETE": self.revert},
            "/api/v1/registry/disk": {"GET": self.disk},
        }

    @operation(
        (DetailedTemplate, list[PublicTemplate], list[BriefTemplate]),
        query=TemplateQuery,
        headers=Conditional,
        sends=LISTED,
    )
    async def get(self, call: Call) -> bytes | Reply:
        """All templates, or one with its tags. The filter ``name`` and pages are ours."""
        identity = call.query("id")
        if identity is not None:
            return envelope.ok(detailed(await self._catalogue.template(identity)))
        await self._sync.wait_loaded()
        encode = brief if call.query("apiVer") == "v1" else short
        page, names = read_page(call.queries), frozenset(call.queries("name"))
        chosen = [t for t in self._templates.by_id.values() if not names or t.name in names]
        if not page.whole:
            chosen.sort(key=_place)
        return listed(call, listing_of(chosen, lambda t: _with_digest(encode(t)), page, _place))

    @operation(either=ById)
    async def delete(self, call: Call) -> bytes:
        """Remove a template with all its tags from the registry; the nodes' caches stay."""
        identity = (await call.parameters()).required_text("id")
        await self._registry.remove(identity, _asker(call))
        await self._catalogue.reread(identity)
        return envelope.OK

    @operation(NoneType, either=Reversion)
    async def revert(self, call: Call) -> bytes:
        """Remove what is newer than a tag or version, which stays; with neither, the latest."""
        given = await call.parameters()
        identity = given.required_text("id")
        tag = given.text("tag")
        version = given.integer("version", 0, numeric_text=True)
        if version is None:
            version = given.integer("number", 0, numeric_text=True)
        await self._registry.revert(identity, tag, version, _asker(call))
        await self._catalogue.reread(identity)
        return envelope.ok(b"null")

    @operation(RegistryDisk)
    async def disk(self, _call: Call) -> bytes:
        """The registry's storage, as of the last poll; asked for when that failed."""
        disk = self._registry.disk or await self._registry.read_disk()
        return envelope.ok(msgspec.json.encode(disk))


def _asker(call: Call) -> Asker:
    return Asker(actor=call.actor, request_id=call.request_id)


def _place(template: TemplateDocument) -> tuple[int, str]:
    return 0, template.id


def _with_digest(item: bytes) -> tuple[bytes, bytes]:
    return item, digest_of(item)
