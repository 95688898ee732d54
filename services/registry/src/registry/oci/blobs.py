"""Blobs over HTTP: read, look, take away."""

from datetime import timedelta

import structlog
from aiohttp import web

from chassis.clock import Clock
from registry.blobs import Blobs
from registry.oci.content import Content
from registry.oci.errors import OciError
from registry.oci.names import digest_of_path, repository_of
from registry.store import RegistryStore

_RELIED_ON = timedelta(minutes=10)
_log = structlog.get_logger()


class BlobRoutes:
    """``/v2/<name>/blobs/<digest>``."""

    def __init__(self, store: RegistryStore, blobs: Blobs, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        path = "/v2/{name:.+}/blobs/{digest}"
        app.router.add_get(path, self.get, allow_head=True)
        app.router.add_delete(path, self.delete)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The blob or a range of it; a HEAD by a pusher keeps the blob for its manifest."""
        repository, digest = repository_of(request), digest_of_path(request)
        link = await self._store.link(repository, digest)
        if link is None:
            raise unknown()
        now = self._clock.now()
        if request.method == "HEAD" and now - link.touched > _RELIED_ON:
            await self._store.add_link(repository, digest, link.size, now)
        try:
            return await Content(self._blobs.path(digest), digest, "application/octet-stream").send(
                request
            )
        except FileNotFoundError:
            _log.error("blob.file_missing", repository=repository, digest=digest)
            raise unknown() from None

    async def delete(self, request: web.Request) -> web.Response:
        """Take the blob from the repository, unless a manifest there needs it."""
        repository, digest = repository_of(request), digest_of_path(request)
        if await self._store.link(repository, digest) is None:
            raise unknown()
        if await self._store.is_used(repository, digest):
            raise OciError(405, "DENIED", "a manifest of the repository refers to the blob")
        await self._store.drop_link(repository, digest)
        return web.Response(status=202)


def unknown() -> OciError:
    """The answer for a blob that the repository does not have."""
    return OciError(404, "BLOB_UNKNOWN", "the blob is not known to the repository")
