"""Templates as the documented API lists, shows, reverts and removes them."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from chassis.errors import NotFound, Refused
from contracts.templates import TemplateDocument, Version
from registry.access import actor_of, visible
from registry.admission import BlobsMissing, describe_template
from registry.blobs import Blobs
from registry.catalog import Catalog
from registry.domain.artifact import BadManifest
from registry.domain.template import ARCHITECTURES, find, reverted
from registry.facade import shapes
from registry.facade.envelope import BadRequest, flag, ok, ok_v1, parameters, text, whole
from registry.facade.index import VERSION
from registry.facade.listing import Listing
from registry.room import Room
from registry.templates import Templates, gone_tags


class Damaged(NotFound):
    """What describes the version is lost or cut short; the text names it"""


class TemplateRoutes:
    """``/registry/…``; reads here never count as pulls."""

    def __init__(
        self,
        templates: Templates,
        listing: Listing,
        catalog: Catalog,
        blobs: Blobs,
        room: Room,
    ) -> None:
        self._templates = templates
        self._listing = listing
        self._catalog = catalog
        self._blobs = blobs
        self._room = room

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        router = app.router
        router.add_get("/registry/status", self.status)
        router.add_get("/registry/disk", self.disk)
        router.add_get("/registry/vm", self.list_v1)
        router.add_get("/registry/v2/vm", self.list)
        router.add_get("/registry/vm/info", self.info)
        router.add_delete("/registry/vm", self.remove)
        router.add_delete("/registry/revert", self.revert)
        router.add_put("/registry/vm/arch", self.set_arch)

    async def status(self, _request: web.Request) -> web.Response:
        """That it runs, and which version."""
        return ok_v1({"status": "Running", "version": VERSION})

    async def disk(self, _request: web.Request) -> web.Response:
        """Bytes free and in all."""
        return ok(await self._room.disk())

    async def list_v1(self, request: web.Request) -> web.Response:
        """One-key objects of id and name; with ``id`` one template."""
        if "id" in request.query:
            return ok_v1(shapes.shown_v1(await self._templates.get(request.query["id"])))
        return ok_v1(await self._listing.v1(visible(request)))

    async def list(self, request: web.Request) -> web.Response:
        """All templates; with ``id`` one, with its versions."""
        if "id" in request.query:
            return ok(shapes.shown(await self._templates.get(request.query["id"])))
        return ok(await self._listing.v2(visible(request)))

    async def info(self, request: web.Request) -> web.Response:
        """The configuration of a version (by tag or number, else the latest)."""
        given = await parameters(request)
        template = await self._templates.get(_id(given))
        version = _version(template, given)
        document = await self._catalog.find(template.repository, version.digest)
        try:
            manifest, config = await describe_template(
                self._blobs, template.repository, document.content
            )
        except BlobsMissing as error:
            raise Damaged(f"The version's config is missing: {error}") from None
        except BadManifest as error:
            raise Damaged(f"The version cannot be read: {error}") from None
        return ok(shapes.configuration(template, version, manifest, config))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a template with all its tags."""
        given = await parameters(request)
        await self._templates.remove(_id(given), actor_of(request))
        return ok(None)

    async def revert(self, request: web.Request) -> web.Response:
        """Remove a version and every newer one; without a tag or number the latest.

        Ours: ``keep_target`` leaves the version that was named, ``dry_run`` changes nothing and
        tells what would go, ``show_removed`` tells what went. The documented body is null.
        """
        given = await parameters(request)
        template = await self._templates.get(_id(given))
        version = _version(template, given)
        keep = flag(given, "keep_target") and _names_version(given)
        if flag(given, "dry_run"):
            left = reverted(template, version.number + keep)
            return ok(shapes.removed(gone_tags(template, left)))
        gone = await self._templates.revert(
            template.id, version.number, actor_of(request), keep=keep
        )
        return ok(shapes.removed(gone) if flag(given, "show_removed") else None)

    async def set_arch(self, request: web.Request) -> web.Response:
        """Correct the architecture of a template."""
        given = await parameters(request)
        arch = text(given, "arch")
        if arch not in ARCHITECTURES:
            raise BadRequest(f"arch must be one of {', '.join(ARCHITECTURES)}")
        await self._templates.set_arch(_id(given), arch)
        return ok(None)


def _id(given: Mapping[str, Any]) -> str:
    identity = text(given, "id")
    if not identity:
        raise BadRequest("id is required")
    return identity


def _names_version(given: Mapping[str, Any]) -> bool:
    return bool(text(given, "tag", "tag_name")) or whole(given, "version", "number") is not None


def _version(template: TemplateDocument, given: Mapping[str, Any]) -> Version:
    tag = text(given, "tag", "tag_name")
    number = whole(given, "version", "number")
    version = find(template, tag=tag or None, number=number)
    if version is not None:
        return version
    if tag:
        raise Refused(f"Did not find any versions with tag {tag}")
    if number is not None:
        raise Refused(f"Did not find any versions with number {number}")
    raise NotFound
