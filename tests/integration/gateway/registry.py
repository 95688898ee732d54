"""A registry that answers as a test wishes."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from chassis.web import WebServer, json_response


class FakeRegistry:
    """``known`` are the templates it has; ``requests`` counts questions; ``broken`` answers 500."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.asked: list[str] = []
        self.broken = False
        self.on_ask: Callable[[], Awaitable[Any]] | None = None
        app = web.Application()
        app.router.add_get("/registry/v2/vm", self._template)
        app.router.add_get("/registry/status", self._status)
        app.router.add_get("/registry/disk", self._disk)
        self._server = WebServer(app, "127.0.0.1", 0)

    @property
    def address(self) -> str:
        return self._server.address

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    async def _template(self, request: web.Request) -> web.Response:
        identity = request.query["id"]
        self.asked.append(identity)
        if self.on_ask is not None:
            await self.on_ask()
        if identity in self.known:
            return self._answer({"status": "OK", "message": "", "body": {"id": identity}})
        return self._answer({"status": "FAIL", "message": "Not found"})

    async def _status(self, _request: web.Request) -> web.Response:
        return self._answer({"status": "OK", "body": {"status": "Running"}, "message": ""})

    async def _disk(self, _request: web.Request) -> web.Response:
        body = {"free": 402653184000, "total": 994662584320}
        return self._answer({"status": "OK", "message": "", "body": body})

    def _answer(self, value: Any) -> web.Response:
        return json_response(value, 500 if self.broken else 200)
