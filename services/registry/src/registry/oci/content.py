"""A blob as an HTTP answer: one range, validators by digest, sent by the kernel where it can.

Source: RFC 9110 (ranges, preconditions). The event loop that services run on has no sendfile, so
it stands here.
"""

import asyncio
import contextlib
import os
import select
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from chassis.errors import Unavailable
from registry.blobs import Reading
from registry.metrics import SENT

_SLICE = 16 << 20
"""Bytes that one transfer sends before others get its thread."""

_PATIENCE_MS = 2
"""How long a thread waits for a client to take more, before it gives way to others."""

_STALLED_SECONDS = 60.0
"""A client that takes nothing for so long is cut off."""

_IMMUTABLE = "private, max-age=31536000, immutable"
"""No cache between may answer for the registry, which asks who may read what."""

_SENDERS = ThreadPoolExecutor(16, thread_name_prefix="blob-sender")
"""Slow clients may hold all of these threads, and nothing else waits for one."""

_log = structlog.get_logger()


class Content(web.StreamResponse):
    """Answers with the blob's bytes, or the range asked for; ``digest`` is its identity."""

    def __init__(self, blob: Reading, digest: str, media_type: str) -> None:
        super().__init__()
        self._blob = blob
        self._digest = digest
        self.content_type = media_type
        self.headers["Docker-Content-Digest"] = digest
        self.headers["Accept-Ranges"] = "bytes"
        self.headers["Cache-Control"] = _IMMUTABLE
        self.headers["ETag"] = f'"{digest}"'

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send it and close the blob."""
        try:
            start, count = self._select(request, self._blob.size)
            writer = await self.prepare(request)
            if writer is not None and count and request.method != "HEAD":
                await self._transmit(request, writer, start, count)
            await self.write_eof()
        except (OSError, Unavailable) as error:
            if request.transport is not None:
                request.transport.abort()  # a cut tells the client that this is not all
            _log.info("blob.cut", digest=self._digest, error=str(error))
        finally:
            await self._blob.close()
        return self

    def _select(self, request: web.Request, size: int) -> tuple[int, int]:
        """Set the status and headers; which bytes to send."""
        matches = request.if_none_match
        if matches and any(tag.value in (self._digest, "*") for tag in matches):
            self.set_status(304)
            return 0, 0
        unchanged = request.headers.get("If-Range", f'"{self._digest}"') == f'"{self._digest}"'
        ranged = unchanged and request.method == "GET"
        wanted = request.headers.get("Range", "") if ranged else ""
        try:
            chosen = byte_range(wanted, size)
        except ValueError:
            self.set_status(416)
            self.headers["Content-Range"] = f"bytes */{size}"
            self.content_length = 0
            return 0, 0
        start, stop = (0, size) if chosen is None else chosen
        if chosen is not None:
            self.set_status(206)
            self.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self.content_length = stop - start
        return start, stop - start

    async def _transmit(
        self, request: web.Request, writer: AbstractStreamWriter, start: int, count: int
    ) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        descriptor = self._blob.descriptor
        if descriptor is not None and transport.get_extra_info("sslcontext") is None:
            await writer.drain()
            await _until_flushed(transport)
            await _sendfile(transport.get_extra_info("socket").fileno(), descriptor, start, count)
            return
        async for piece in self._blob.pieces(start, count):
            await self.write(piece)
            SENT.inc(len(piece))


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """(start, stop) of a Range header; None when all is wanted; ValueError when none fits.

    Several ranges, other units and malformed headers count as none, which RFC 9110 allows.
    """
    unit, _, spec = header.partition("=")
    first, dash, last = spec.strip().partition("-")
    digits = all(not part or (part.isascii() and part.isdigit()) for part in (first, last))
    if unit.strip().lower() != "bytes" or not dash or not digits or not (first or last):
        return None
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise ValueError("the range is outside of the content")
    return start, stop


async def _until_flushed(transport: asyncio.WriteTransport) -> None:
    """Return when the kernel has all that was written before."""
    pause = 0.0
    while transport.get_write_buffer_size() and not transport.is_closing():
        await asyncio.sleep(pause)
        pause = min(pause + 0.001, 0.05)


async def _sendfile(socket: int, file: int, start: int, count: int) -> None:
    """Copy from file to socket inside the kernel.

    The socket is watched through a duplicate: the loop does not let two parties watch one.
    Both descriptors stay open until no thread uses them: another file may get their numbers.
    """
    mine = os.dup(socket)
    try:
        stop = start + count
        while start < stop:
            sent = await _to_the_end(_SENDERS.submit(_send_slice, mine, file, start, stop))
            if not sent:
                await _writable(mine)
            start += sent
            SENT.inc(sent)
    finally:
        os.close(mine)


async def _to_the_end(job: Future[int]) -> int:
    """What the thread returns; whoever cancels waits for it too."""
    running = asyncio.wrap_future(job)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        raise


def _send_slice(socket: int, file: int, start: int, stop: int) -> int:
    """Send what the client takes without a pause, up to a slice; for a thread.

    A client on a fast link is served from here all the time, which spares two changes of thread
    for each filling of the socket's buffer.
    """
    stop = min(stop, start + _SLICE)
    at = start
    ready = select.poll()
    ready.register(socket, select.POLLOUT)
    while at < stop:
        try:
            sent = os.sendfile(socket, file, at, stop - at)
        except BlockingIOError:
            if not ready.poll(_PATIENCE_MS):
                break
            continue
        if sent == 0:
            raise ConnectionResetError("the file is shorter than it was")
        at += sent
    return at - start


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[Any] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(descriptor, wake)
    try:
        async with asyncio.timeout(_STALLED_SECONDS):
            await ready
    finally:
        with contextlib.suppress(ValueError):
            loop.remove_writer(descriptor)
