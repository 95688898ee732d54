"""Blobs over HTTP: read, look, take away."""

from datetime import timedelta

import structlog
from aiohttp import web

from chassis.clock import Clock
from registry.blobs import Blobs
from registry.holdings import Holdings
from registry.oci.content import Content
from registry.oci.errors import OciError
from registry.oci.names import digest_of_path, repository_of
from registry.store import RegistryStore

_log = structlog.get_logger()


class BlobRoutes:
    """``/v2/<name>/blobs/<digest>``. ``grace``: how long what nothing needs is kept."""

    def __init__(
        self,
        store: RegistryStore,
        holdings: Holdings,
        blobs: Blobs,
        clock: Clock,
        grace: timedelta,
    ) -> None:
        self._store = store
        self._holdings = holdings
        self._blobs = blobs
        self._clock = clock
        self._fresh = grace / 4

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        path = "/v2/{name:.+}/blobs/{digest}"
        app.router.add_get(path, self.get, allow_head=True)
        app.router.add_delete(path, self.delete)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The blob or a range of it; a HEAD by a pusher keeps the blob for its manifest."""
        repository, digest = repository_of(request), digest_of_path(request)
        link = await self._holdings.link(repository, digest)
        if link is None:
            raise unknown()
        aged = self._clock.now() - link.touched > self._fresh
        if request.method == "HEAD" and aged and not await self._holdings.touch(link):
            raise unknown()
        try:
            blob = await self._blobs.open(digest)
        except FileNotFoundError:
            _log.error("blob.file_missing", repository=repository, digest=digest)
            raise unknown() from None
        if blob.size != link.size:
            await blob.close()
            _log.error("blob.size_wrong", digest=digest, size=blob.size, expected=link.size)
            raise unknown()  # so that whoever has it pushes it again
        return await Content(blob, digest, "application/octet-stream").send(request)

    async def delete(self, request: web.Request) -> web.Response:
        """Take the blob from the repository, unless a manifest there needs it."""
        repository, digest = repository_of(request), digest_of_path(request)
        link = await self._holdings.link(repository, digest)
        if link is None:
            raise unknown()
        if await self._store.is_used(repository, digest):
            raise OciError(405, "DENIED", "a manifest of the repository refers to the blob")
        await self._holdings.release([link])
        if await self._holdings.link(repository, digest) is not None:
            raise OciError(405, "DENIED", "a push has just relied on the blob")
        return web.Response(status=202)


def unknown() -> OciError:
    """The answer for a blob that the repository does not have."""
    return OciError(404, "BLOB_UNKNOWN", "the blob is not known to the repository")
