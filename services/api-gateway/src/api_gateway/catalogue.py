"""Which tag of which template a start means."""

import contextlib

from api_gateway.projection import Projection
from api_gateway.registry_client import Registry
from api_gateway.store import GatewayStore
from api_gateway.sync import Sync
from chassis.errors import NotFound, Refused, Unavailable
from contracts.templates import TemplateDocument, TemplateRef, Version

UNKNOWN_TEMPLATE = "VM not in the registry"


class Catalogue:
    """Templates as the projection knows them; on a miss the database, then the registry.

    The registry writes the documents, so a tag that is missing in one needs no further question.
    """

    def __init__(
        self, projection: Projection, sync: Sync, store: GatewayStore, registry: Registry
    ) -> None:
        self._templates = projection.templates
        self._sync = sync
        self._store = store
        self._registry = registry

    async def resolve(self, template_id: str, tag: str | None, version: int | None) -> TemplateRef:
        """The tag wished for, else the latest.

        Raises Refused with the exact texts that clients match, or Unavailable.
        """
        if self._sync.fresh:
            found = _choose(self._templates.by_id.get(template_id), tag, version)
            if found is not None:
                return found
        template = await self._stored(template_id)
        if template is None and await self._registry.has_template(template_id):
            template = await self._stored(template_id)
        if template is None or not template.versions:
            raise Refused(UNKNOWN_TEMPLATE)
        found = _choose(template, tag, version)
        if found is None:
            raise Refused(f"No such version {version}" if tag is None else f"No such tag {tag}")
        return found

    async def template(self, template_id: str) -> TemplateDocument:
        """One template; NotFound."""
        known = self._templates.by_id.get(template_id) if self._sync.fresh else None
        found = known or await self._stored(template_id)
        if found is None:
            raise NotFound
        return found

    async def reread(self, template_id: str) -> None:
        """Show what the registry has just made of a template; its message may take a moment."""
        known = self._templates.by_id.get(template_id)
        with contextlib.suppress(Unavailable):
            if await self._stored(template_id) is None and known is not None:
                self._templates.remove(template_id, known.revision)

    async def _stored(self, template_id: str) -> TemplateDocument | None:
        template = await self._store.template(template_id)
        if template is not None:
            self._templates.stored(template)
        return template


def _choose(
    template: TemplateDocument | None, tag: str | None, number: int | None
) -> TemplateRef | None:
    if template is None:
        return None
    for version in reversed(template.versions):
        if _fits(version, tag, number):
            return template.ref(version)
    return None


def _fits(version: Version, tag: str | None, number: int | None) -> bool:
    return (tag is None or version.tag == tag) and (number is None or version.number == number)
