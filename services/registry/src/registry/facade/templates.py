"""Templates as the documented API lists, shows, reverts and removes them."""

from collections.abc import Mapping
from importlib.metadata import version as version_of
from typing import Any

from aiohttp import web

from chassis.errors import NotFound, Refused
from chassis.web import ACTOR_HEADER, REQUEST_ID
from contracts.templates import TemplateDocument, Version
from registry.admission import describe_template
from registry.blobs import Blobs
from registry.catalog import Catalog
from registry.domain.template import ARCHITECTURES, find
from registry.facade import shapes
from registry.facade.envelope import BadRequest, flag, ok, ok_v1, parameters, text, whole
from registry.templates import Actor, Templates

_VERSION = version_of("corral-registry")


class TemplateRoutes:
    """``/registry/…``; reads here never count as pulls."""

    def __init__(self, templates: Templates, catalog: Catalog, blobs: Blobs) -> None:
        self._templates = templates
        self._catalog = catalog
        self._blobs = blobs

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
        return ok_v1({"status": "Running", "version": _VERSION})

    async def disk(self, _request: web.Request) -> web.Response:
        """Bytes free and in all."""
        return ok(await self._blobs.disk())

    async def list_v1(self, request: web.Request) -> web.Response:
        """One-key objects of id and name; with ``id`` one template."""
        if "id" in request.query:
            return ok_v1(shapes.shown_v1(await self._templates.get(request.query["id"])))
        return ok_v1([{item.id: item.name} for item in await self._templates.all()])

    async def list(self, request: web.Request) -> web.Response:
        """All templates; with ``id`` one, with its versions."""
        if "id" in request.query:
            return ok(shapes.shown(await self._templates.get(request.query["id"])))
        return ok([shapes.listed(item) for item in await self._templates.all()])

    async def info(self, request: web.Request) -> web.Response:
        """The configuration of a version (by tag or number, else the latest)."""
        given = await parameters(request)
        template = await self._templates.get(_id(given))
        version = _version(template, given)
        document = await self._catalog.find(template.repository, version.digest)
        manifest, config = await describe_template(
            self._blobs, template.repository, document.content
        )
        return ok(shapes.configuration(template, version, manifest, config))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a template with all its tags."""
        given = await parameters(request)
        await self._templates.remove(_id(given), _actor(request))
        return ok(None)

    async def revert(self, request: web.Request) -> web.Response:
        """Remove a version and every newer one; without a tag or number the latest.

        ``keep_target``, an addition of ours, keeps the version that is named.
        """
        given = await parameters(request)
        template = await self._templates.get(_id(given))
        version = _version(template, given)
        keep = flag(given, "keep_target")
        await self._templates.revert(template.id, version.number, _actor(request), keep=keep)
        return ok(None)

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


def _actor(request: web.Request) -> Actor:
    return Actor(name=request.headers.get(ACTOR_HEADER, ""), request_id=request.get(REQUEST_ID, ""))
