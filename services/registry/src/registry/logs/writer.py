"""Lines on their way into the files: whatever waits is appended together, off the loop."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from chassis.errors import Unavailable
from chassis.log_shipping import CONTROLLER
from registry.logs.folder import LogFolder
from registry.metrics import LOG_BYTES

LONGEST_LINE = 64 << 10
"""Bytes; the rest of a longer line is cut off."""

_CUT = b" [cut]"
_MOST_WAITING = 16 << 20
_log = structlog.get_logger()


class _Batch:
    """Lines of one service, and who waits for them to be written."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class LogWriter:
    """The only writer of the central logs."""

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._waiting: dict[str, _Batch] = {}
        self._bytes = 0
        self._flushing: asyncio.Task[None] | None = None
        self._watchers: dict[str, set[asyncio.Event]] = {}

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Write what waits."""
        if self._flushing is not None:
            await self._flushing

    async def append(self, service: str, content: str) -> None:
        """Add lines; they are in the file when this returns. Refused, NoSpace, Unavailable."""
        service, lines = self._folder.check(service), _lines(content)
        if self._bytes + len(lines) > _MOST_WAITING:
            raise Unavailable("more log lines wait than can be written, try again later")
        batch = self._waiting.get(service)
        if batch is None:
            batch = self._waiting[service] = _Batch()
        batch.lines.append(lines)
        self._bytes += len(lines)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush(), name="logs")
        await asyncio.shield(batch.written)

    async def expire(self) -> None:
        """Remove files that are too old."""
        gone = await asyncio.to_thread(self._folder.expire)
        if gone:
            _log.info("logs.expired", files=gone)

    @contextmanager
    def watch(self, service: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever this process has written to the service's log."""
        service, event = self._folder.check(service), asyncio.Event()
        watchers = self._watchers.setdefault(service, set())
        watchers.add(event)
        try:
            yield event
        finally:
            watchers.discard(event)
            if not watchers:
                self._watchers.pop(service, None)

    async def _flush(self) -> None:
        while self._waiting:
            batches, self._waiting = self._waiting, {}
            errors = await asyncio.to_thread(self._write, batches)
            for (service, batch), error in zip(batches.items(), errors, strict=True):
                self._bytes -= sum(map(len, batch.lines))
                self._settle(service, batch, error)

    def _write(self, batches: dict[str, _Batch]) -> list[Exception | None]:
        """One append per service, in a thread; what went wrong with each."""
        errors: list[Exception | None] = []
        for service, batch in batches.items():
            lines = b"".join(batch.lines)
            try:
                self._folder.append(service, lines)
            except Exception as error:
                errors.append(error)
            else:
                errors.append(None)
                LOG_BYTES.inc(len(lines))
        return errors

    def _settle(self, service: str, batch: _Batch, error: Exception | None) -> None:
        if error is not None:
            batch.written.set_exception(error)
            batch.written.exception()  # whoever waited may be gone
            return
        batch.written.set_result(None)
        for event in self._watchers.get(service, ()):
            event.set()


class OwnLog:
    """Where the registry's own lines go: no way leads over the network."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    async def send(self, content: str) -> None:
        """See Destination."""
        await self._writer.append(CONTROLLER, content)

    async def close(self) -> None:
        """See Destination."""


def _lines(content: str) -> bytes:
    """Whole lines of bounded length, without control characters that end or hide one."""
    encoded = content.encode(errors="replace").replace(b"\0", b"").replace(b"\r\n", b"\n")
    lines = encoded.replace(b"\r", b"\n").rstrip(b"\n").split(b"\n")
    return b"".join(
        (line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + _CUT) + b"\n"
        for line in lines
    )
