"""Neighbours: where else than here a blob can be had."""

from aiohttp import web

from contracts.artifacts import DIGEST_PATTERN
from registry.facade.envelope import BadRequest, ok
from registry.peers import Peers

_MOST = 8


class PeerRoutes:
    """``/registry/peers``, asked by agents that fetch from each other."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def add_to(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_get("/registry/peers", self.list)

    async def list(self, request: web.Request) -> web.Response:
        """Nodes that have one of the ``digest``s, but for ``node_id``, which asks."""
        digests = request.query.getall("digest", [])
        if not digests:
            raise BadRequest("digest is required")
        if len(digests) > _MOST:
            raise BadRequest(f"at most {_MOST} digests")
        for digest in digests:
            if not DIGEST_PATTERN.fullmatch(digest):
                raise BadRequest("digest must be a sha256 digest")
        return ok(await self._peers.having(digests, request.query.get("node_id", "")))
