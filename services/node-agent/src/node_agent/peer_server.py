"""What this host has, for its neighbours: whole, verified blobs and manifests, by digest only.

Read-only, and the same paths as a registry's. Whoever reaches the port and knows a digest may have
its content; the repository in the path is not looked at.
"""

from collections.abc import Sequence

from aiohttp import web

from contracts.artifacts import DIGEST_PATTERN, MANIFEST_TYPE
from node_agent.drivers.port import Shelf
from node_agent.metrics import SERVED


class PeerRoutes:
    """``/v2/<name>/blobs/<digest>`` and ``/v2/<name>/manifests/<digest>``."""

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self._shelves = shelves

    def app(self) -> web.Application:
        """The application that answers."""
        app = web.Application()
        app.router.add_get("/v2/{name:.+}/blobs/{digest}", self.blob)
        app.router.add_get("/v2/{name:.+}/manifests/{digest}", self.manifest)
        return app

    async def blob(self, request: web.Request) -> web.StreamResponse:
        """The blob, or a range of it, sent by the kernel where the event loop can have that."""
        digest = _digest(request)
        for shelf in self._shelves:
            if path := shelf.blob(digest):
                SERVED.inc()
                return web.FileResponse(path)
        raise web.HTTPNotFound

    async def manifest(self, request: web.Request) -> web.Response:
        """The manifest as it was pulled."""
        digest = _digest(request)
        for shelf in self._shelves:
            if body := shelf.manifest(digest):
                headers = {"Docker-Content-Digest": digest}
                return web.Response(body=body, content_type=MANIFEST_TYPE, headers=headers)
        raise web.HTTPNotFound


def _digest(request: web.Request) -> str:
    digest = request.match_info["digest"]
    if not DIGEST_PATTERN.fullmatch(digest):
        raise web.HTTPNotFound
    return digest
