"""Answers that are sent piece by piece: event streams, downloads, archives.

Memory stays constant: the next piece is made when the client has taken the last one. A client
that is gone or takes nothing for a minute is dropped, and running streams end with the server.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from aiohttp import web

from chassis.web import REQUEST_ID, REQUEST_ID_HEADER

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE = b": \n\n"
"""A line of an event stream that readers skip."""

_STALLED_SECONDS = 60.0
_log = structlog.get_logger()


class Pieces(Protocol):
    """What an asynchronous generator is; ``aclose`` also comes when nothing was taken."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, one by one."""
        ...

    async def aclose(self) -> None:
        """Let go of what they are made from."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Status, headers and pieces of an answer; an empty piece only asks whether somebody reads."""

    pieces: Pieces
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Streams:
    """Sends streams, and ends them when the server stops."""

    def __init__(self, stalled_seconds: float = _STALLED_SECONDS) -> None:
        self._stalled = stalled_seconds
        self._running: set[asyncio.Task[object]] = set()

    def add_to(self, app: web.Application) -> None:
        """End with the application."""
        app.on_shutdown.append(self._end)

    async def send(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        """Send all of it; returns as well when the client is gone."""
        response = web.StreamResponse(status=stream.status, headers=stream.headers)
        response.headers["Content-Type"] = stream.content_type
        if stream.content_type == EVENT_STREAM:
            response.headers["X-Accel-Buffering"] = "no"
        response.headers.setdefault("Cache-Control", "no-store")
        if REQUEST_ID in request:
            response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            async with aclosing(stream.pieces):
                await response.prepare(request)
                if request.method != "HEAD":
                    await self._transmit(request, response, stream.pieces)
        except (ConnectionError, TimeoutError) as error:
            _log.info("stream.cut", path=request.path, error=repr(error))
            _abort(request)
        except Exception:
            # Too late for another answer: a cut tells the client that this is not all.
            _log.exception("stream.failed", path=request.path)
            _abort(request)
        finally:
            self._running.discard(task)
        return response

    async def _transmit(
        self, request: web.Request, response: web.StreamResponse, pieces: Pieces
    ) -> None:
        async for piece in pieces:
            if request.transport is None or request.transport.is_closing():
                return
            if piece:
                async with asyncio.timeout(self._stalled):
                    await response.write(piece)
        await response.write_eof()

    async def _end(self, _app: web.Application) -> None:
        for task in self._running:
            task.cancel()


async def from_thread(pieces: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """Pieces whose making blocks; no thread is held while the client is slow."""
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
    finally:
        with suppress(ValueError):  # a thread is still making one; it closes when that is dropped
            pieces.close()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
