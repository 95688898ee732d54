"""A receiver of events that answers as a test wishes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from chassis.web import WebServer

Event = dict[str, Any]
Answer = Callable[[Event], Awaitable[web.Response]]


async def taken(_event: Event) -> web.Response:
    """What a receiver says that is content."""
    return web.Response(text="ok")


class Request(msgspec.Struct):
    """What came over HTTP."""

    headers: dict[str, str]
    body: bytes


class Receiver:
    """``events`` in the order of their arrival; ``arrived`` those answered with 2xx.

    ``requests`` are those of ``events``, as they came.
    """

    def __init__(self, answer: Answer = taken) -> None:
        self.answer = answer
        self.events: list[Event] = []
        self.arrived: list[Event] = []
        self.requests: list[Request] = []
        self.busiest = 0
        self._flying = 0
        self._server: WebServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens, the same again after a stop and a start."""
        return f"http://127.0.0.1:{self._port}/events"

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/events", self._receive)
        self._server = WebServer(app, "127.0.0.1", self._port)
        await self._server.start()
        self._port = self._server.port

    async def stop(self) -> None:
        """Be gone: connections are refused."""
        if self._server is not None:
            await self._server.stop()

    def sequences(self, subject: str = "") -> list[int]:
        """What arrived, of one instance or of all, repeats left out."""
        return list(
            dict.fromkeys(
                event["sequence"]
                for event in self.arrived
                if not subject or event.get("instance_id") == subject
            )
        )

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = msgspec.json.decode(body)
        event = event["data"] if "specversion" in event else event
        self.requests.append(Request(dict(request.headers), body))
        self.events.append(event)
        self._flying += 1
        self.busiest = max(self.busiest, self._flying)
        try:
            response = await self.answer(event)
        finally:
            self._flying -= 1
        if 200 <= response.status < 300:
            self.arrived.append(event)
        return response


def hangs(seconds: float) -> Answer:
    """A receiver that thinks for so long."""

    async def answer(event: Event) -> web.Response:
        await asyncio.sleep(seconds)
        return await taken(event)

    return answer
