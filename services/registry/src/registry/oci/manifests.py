"""Manifests and tags over HTTP."""

import re
from collections.abc import Mapping

import msgspec
from aiohttp import web

from contracts.artifacts import INDEX_TYPE, MAX_MANIFEST, REFERENCE_PATTERN
from registry.access import actor_of
from registry.catalog import Catalog
from registry.oci.errors import OciError
from registry.oci.names import digest_of_path, reference_of_path, repository_of
from registry.pulls import Pulls
from registry.store import RegistryStore

_COUNT = re.compile(r"[0-9]{1,18}")
_TAGS = 10_000
"""Tags of a page, at most."""

_REFERRERS = 1000
"""Referrers of a page, at most."""

_INDEX_ROOM = MAX_MANIFEST - 4096
"""Bytes of the descriptors in an index that clients take."""


class ManifestRoutes:
    """``/v2/<name>/manifests/<reference>``, ``/tags/list`` and ``/referrers/<digest>``."""

    def __init__(self, store: RegistryStore, catalog: Catalog, pulls: Pulls) -> None:
        self._store = store
        self._catalog = catalog
        self._pulls = pulls

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        path = "/v2/{name:.+}/manifests/{reference}"
        app.router.add_get(path, self.get, allow_head=True)
        app.router.add_put(path, self.put)
        app.router.add_delete(path, self.delete)
        app.router.add_get("/v2/{name:.+}/tags/list", self.tags)
        app.router.add_get("/v2/{name:.+}/referrers/{digest}", self.referrers)

    async def get(self, request: web.Request) -> web.Response:
        """The manifest; a GET counts as a pull, a HEAD does not."""
        repository = repository_of(request)
        manifest = await self._catalog.find(repository, reference_of_path(request))
        headers = {
            "Docker-Content-Digest": manifest.digest,
            "ETag": f'"{manifest.digest}"',
            "Content-Type": manifest.media_type,
        }
        matches = request.if_none_match
        if matches and any(tag.value in (manifest.digest, "*") for tag in matches):
            return web.Response(status=304, headers=headers)
        if request.method == "GET":
            self._pulls.note(repository, manifest.digest)
        return web.Response(body=manifest.content, headers=headers)

    async def put(self, request: web.Request) -> web.Response:
        """Accept a manifest."""
        repository, reference = repository_of(request), reference_of_path(request)
        manifest = await self._catalog.push(
            repository, reference, await _content(request), _media_type(request), actor_of(request)
        )
        headers = {
            "Location": f"/v2/{repository}/manifests/{manifest.digest}",
            "Docker-Content-Digest": manifest.digest,
        }
        if manifest.subject:
            headers["OCI-Subject"] = manifest.subject
        return web.Response(status=201, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a tag, or a manifest with its tags."""
        await self._catalog.delete(
            repository_of(request), reference_of_path(request), actor_of(request)
        )
        return web.Response(status=202)

    async def tags(self, request: web.Request) -> web.Response:
        """Tags in byte order, ``n`` at a time after ``last``."""
        repository = repository_of(request)
        last = request.query.get("last", "")
        if last and not REFERENCE_PATTERN.fullmatch(last):
            raise OciError(400, "UNSUPPORTED", "last is not a tag")
        count = _count(request)
        found = [] if count == 0 else await self._page(repository, last, count)
        if not found and not await self._store.has_manifests(repository):
            raise OciError(404, "NAME_UNKNOWN", "the repository is not known to the registry")
        headers = {}
        if count is not None and len(found) > count:
            found = found[:count]
            headers["Link"] = _next(request, {"n": str(count), "last": found[-1]})
        return web.json_response({"name": repository, "tags": found}, headers=headers)

    async def referrers(self, request: web.Request) -> web.Response:
        """An index of the manifests whose subject is the digest, as many as fit into one."""
        repository, digest = repository_of(request), digest_of_path(request)
        kind, last = request.query.get("artifactType", ""), request.query.get("last", "")
        found = await self._store.referring(
            repository, digest, kind=kind, after=last, limit=_REFERRERS + 1
        )
        shown = _fitting([msgspec.Raw(manifest.descriptor) for manifest in found])
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": shown}
        headers = {"Content-Type": INDEX_TYPE}
        if kind:
            headers["OCI-Filters-Applied"] = "artifactType"
        if len(shown) < len(found):
            query = {"artifactType": kind} if kind else {}
            headers["Link"] = _next(request, query | {"last": found[len(shown) - 1].digest})
        return web.Response(body=msgspec.json.encode(index), headers=headers)

    async def _page(self, repository: str, last: str, count: int | None) -> list[str]:
        limit = 0 if count is None else count + 1
        return [t.reference for t in await self._store.tags(repository, after=last, limit=limit)]


def _fitting(descriptors: list[msgspec.Raw]) -> list[msgspec.Raw]:
    """As many as one index can hold, and at least one."""
    room = _INDEX_ROOM
    for position, descriptor in enumerate(descriptors[:_REFERRERS]):
        room -= len(memoryview(descriptor)) + 1
        if room < 0 and position:
            return descriptors[:position]
    return descriptors[:_REFERRERS]


def _next(request: web.Request, query: Mapping[str, str]) -> str:
    """Where the list goes on, as RFC 8288 writes it."""
    return f'<{request.rel_url.with_query(query)}>; rel="next"'


async def _content(request: web.Request) -> bytes:
    content = bytearray()
    while piece := await request.content.readany():
        content += piece
        if len(content) > MAX_MANIFEST:
            raise OciError(413, "MANIFEST_INVALID", f"more than {MAX_MANIFEST} bytes")
    return bytes(content)


def _media_type(request: web.Request) -> str:
    given = request.headers.get("Content-Type", "")
    return given.partition(";")[0].strip()


def _count(request: web.Request) -> int | None:
    """How many are asked for; more than a page comes in pages."""
    given = request.query.get("n")
    if given is None:
        return None
    if not _COUNT.fullmatch(given):
        raise OciError(400, "UNSUPPORTED", "n is not a number")
    return min(int(given), _TAGS)
