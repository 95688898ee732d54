"""The agent's packages under their two documented names, streamed from a folder."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from api_gateway.operation import operation
from api_gateway.public import envelope
from api_gateway.replies import UNAVAILABLE
from chassis.errors import Unauthenticated, Unavailable

NAMES = ("AnkaAgent.pkg", "AnkaAgentArm.pkg")
_BINARY = "application/octet-stream"
_log = structlog.get_logger()
_FAILURE = {"Content-Type": "application/json", "Cache-Control": "no-store"}


Identify = Callable[[str | None], Awaitable[object]]
"""Raises Unauthenticated when a header is nobody's, Unavailable when that cannot be found out."""


class Packages:
    """``folder`` None: there are none. ``identify`` None: nobody is asked who they are."""

    def __init__(self, folder: Path | None, identify: Identify | None) -> None:
        self._folder = folder
        self._identify = identify

    def add_to(self, app: web.Application) -> None:
        """One route for each name."""
        for name in NAMES:
            app.router.add_get(f"/pkg/{name}", self._send)

    def described(self) -> Mapping[str, Mapping[str, Callable[..., Any]]]:
        """The same routes for the API's description."""
        return {f"/pkg/{name}": {"GET": self._send} for name in NAMES}

    @operation(str, media=(_BINARY,), codes={404: "There is no such package here."})
    async def _send(self, request: web.Request) -> web.StreamResponse:
        """An agent's package, in the version that nodes are updated to."""
        if self._identify is not None:
            try:
                await self._identify(request.headers.get("Authorization"))
            except Unauthenticated:
                body = envelope.AUTHENTICATION_REQUIRED
                return web.Response(body=body, status=401, headers=_FAILURE)
            except Unavailable as error:
                _log.warning("request.not_answered", code=503, error=repr(error))
                body = envelope.fail(UNAVAILABLE)
                return web.Response(body=body, status=503, headers=_FAILURE)
        name = request.path.rpartition("/")[2]
        file = self._folder / name if self._folder else None
        if file is None or not file.is_file():
            body = envelope.fail(f"no package {name} on this controller")
            return web.Response(body=body, status=404, headers=_FAILURE)
        return web.FileResponse(file, headers={"Content-Type": _BINARY})
