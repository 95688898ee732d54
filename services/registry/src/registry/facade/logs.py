"""The central logs: lines in, streams, files and archives out.

Documented are POST and GET of ``/log``; the other paths are ours.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from chassis.errors import NotFound
from chassis.streams import EVENT_STREAM, KEEP_ALIVE, Stream, Streams, from_thread
from registry.facade.envelope import BadRequest, ok, parameters, whole
from registry.logs.archive import tar_gz
from registry.logs.folder import LogFolder
from registry.logs.follower import follow, tail
from registry.logs.writer import LogWriter

_TAIL_LINES = 100
_MOST_LINES = 10_000
_KEEP_ALIVE_SECONDS = 15.0


class LogRoutes:
    """``/log`` and below."""

    def __init__(self, folder: LogFolder, writer: LogWriter, streams: Streams) -> None:
        self._folder = folder
        self._writer = writer
        self._streams = streams

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        self._streams.add_to(app)
        router = app.router
        router.add_post("/log", self.add)
        router.add_get("/log", self.stream)
        router.add_get("/log/files", self.files)
        router.add_get("/log/file", self.file)
        router.add_get("/log/archive", self.archive)

    async def add(self, request: web.Request) -> web.Response:
        """Append lines to the log of a service; they are written when this is answered."""
        given = await parameters(request)
        names = (_lenient(given.get(name)) for name in ("service", "machine_name", "host"))
        service = next(filter(None, names), "")
        if not service:
            raise BadRequest("service is required")
        await self._writer.append(service, _content(given.get("content")))
        return ok(None)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The last lines, then new ones as they come, as server-sent events."""
        service = self._folder.check(_service(request))
        lines = _lines(request, _TAIL_LINES)
        pieces = self._events(service, lines)
        return await self._streams.send(request, Stream(pieces=pieces, content_type=EVENT_STREAM))

    async def files(self, request: web.Request) -> web.Response:
        """Every service with its files, or one; oldest file first."""
        asked = request.query.get("service")
        services = [asked] if asked else await asyncio.to_thread(self._folder.services)
        answer = []
        for service in services:
            files = await asyncio.to_thread(self._folder.files, service)
            if asked and not files:
                raise NotFound
            answer.append({"service": self._folder.check(service), "files": files})
        return ok(answer)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """One file, by default the newest; its last ``lines`` when they are asked for."""
        service, name = _service(request), request.query.get("file", "")
        path = await asyncio.to_thread(self._folder.find, service, name)
        if "lines" in request.query:
            last = await asyncio.to_thread(tail, path, _lines(request, _TAIL_LINES))
            return web.Response(body=last, content_type="text/plain", charset="utf-8")
        return attached(path)

    async def archive(self, request: web.Request) -> web.StreamResponse:
        """All files of a service, or of all services, as a tar.gz."""
        asked = request.query.get("service")
        services = [asked] if asked else await asyncio.to_thread(self._folder.services)
        if asked and not await asyncio.to_thread(self._folder.files, asked):
            raise NotFound
        return await self._streams.send(
            request,
            Stream(
                pieces=from_thread(tar_gz(self._folder.members(services))),
                content_type="application/gzip",
                headers={"Content-Disposition": 'attachment; filename="logs.tar.gz"'},
            ),
        )

    async def _events(self, service: str, lines: int) -> AsyncGenerator[bytes, None]:
        spoke = time.monotonic()
        yield KEEP_ALIVE  # so that a reader of an empty log knows that it is connected
        async for found in follow(self._folder, self._writer, service, lines):
            if found:
                yield b"".join(b"data: %s\n\n" % line for line in found)
                spoke = time.monotonic()
            elif time.monotonic() - spoke > _KEEP_ALIVE_SECONDS:
                yield KEEP_ALIVE
                spoke = time.monotonic()
            else:
                yield b""


def attached(path: Path) -> web.FileResponse:
    """A file as browsers save it, never show it: logs hold what anybody wrote."""
    return web.FileResponse(
        path,
        headers={
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{path.name}"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )


def _service(request: web.Request) -> str:
    service = request.query.get("service")
    if not service:
        raise BadRequest("service is required")
    return service


def _lines(request: web.Request, default: int) -> int:
    lines = whole(request.query, "lines")
    return default if lines is None else min(lines, _MOST_LINES)


def _content(value: Any) -> str:
    """Text as it is, a list line by line, anything else as JSON."""
    if isinstance(value, list):
        return "\n".join(_lenient(item) for item in value)
    return _lenient(value)


def _lenient(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
