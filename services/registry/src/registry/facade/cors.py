"""Cross-origin requests: the browser UI, which another server serves, calls the registry.

Pages of the registry's own host may always call it; others only when they are listed.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

_ANY = frozenset({"*", "true"})
"""The documented setting is a switch."""

_PREFLIGHT = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD, POST, PUT, PATCH, DELETE",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, Range, X-Request-ID",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}
_EXPOSED = "Content-Range, Docker-Content-Digest, Docker-Upload-UUID, Link, Location, X-Request-ID"


class Cors:
    """``allowed``: further origins (``https://ci.example``), or ``*``."""

    def __init__(self, allowed: str) -> None:
        self._allowed = frozenset(each.strip().rstrip("/") for each in allowed.split(","))

    def add_to(self, app: web.Application) -> None:
        """Answer what browsers ask first, and mark every answer, streams included."""
        app.middlewares.append(self.preflight)
        app.on_response_prepare.append(self.mark)

    @web.middleware
    async def preflight(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """What a browser asks before it calls."""
        asks = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if request.method != hdrs.METH_OPTIONS or not asks:
            return await handler(request)
        return web.Response(status=204, headers=_PREFLIGHT if self._allows(request) else None)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say whether the page that asked may read the answer."""
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if self._allows(request):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED

    def _allows(self, request: web.Request) -> bool:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return False
        if origin in self._allowed or not _ANY.isdisjoint(self._allowed):
            return True
        try:
            asking, asked = urlsplit(origin).hostname, urlsplit(f"//{request.host}").hostname
        except ValueError:
            return False
        return asking is not None and asking == asked
