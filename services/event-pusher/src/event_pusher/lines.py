"""``event.log``: one line per event, the JSON that receivers get."""

import contextlib
import logging
import logging.handlers
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from event_pusher.domain.wire import Parcel
from event_pusher.follower import Follower
from event_pusher.reader import LogReader

STDOUT = "-"
_TAIL = 1 << 16
_log = structlog.get_logger()


class _Line(msgspec.Struct, frozen=True):
    sequence: int


class EventLines:
    """Appends to a file (reopened when it was rotated away) or to standard output.

    A file tells by its last line where to go on, so a crash leaves no hole in it.
    """

    def __init__(self, path: str, reader: LogReader) -> None:
        self._path = path
        self._reader = reader
        self._handler: logging.StreamHandler | None = None  # type: ignore[type-arg]
        self._follower = Follower(reader, self._write)

    async def start(self) -> None:
        """Open, and write what a crash left unwritten."""
        if self._path == STDOUT:
            self._handler = _Stream(sys.stdout)
            self._follower.last = self._reader.newest
            return
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        self._follower.last = _last_sequence(Path(self._path)) or self._reader.newest
        self._handler = _File(self._path, encoding="utf-8")
        await self.follow([])

    async def stop(self) -> None:
        """Close."""
        if self._handler is not None and self._path != STDOUT:
            self._handler.close()

    async def follow(self, parcels: Sequence[Parcel]) -> None:
        """See Follower. A full disk stops no event: lines are written once there is room again."""
        try:
            await self._follower.follow(parcels)
        except OSError as error:
            _log.error("event_lines.not_written", path=self._path, error=str(error))

    def _write(self, parcels: Sequence[Parcel]) -> None:
        assert self._handler is not None
        text = b"\n".join([parcel.plain for parcel in parcels]).decode()
        self._handler.emit(logging.makeLogRecord({"msg": text}))


class _Raises(logging.Handler):
    """The library's handlers print their errors; ours go to the caller."""

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 -- the library's name
        """Raise what happened while the record was written."""
        _, error, _ = sys.exc_info()
        assert error is not None
        raise error


class _Stream(_Raises, logging.StreamHandler):  # type: ignore[type-arg]
    pass


class _File(_Raises, logging.handlers.WatchedFileHandler):
    pass


def _last_sequence(path: Path) -> int:
    """The sequence of the last whole line, 0 when there is none; half a line is cut off."""
    if not path.exists() or not path.stat().st_size:
        return 0
    with path.open("r+b") as file:
        start = max(0, path.stat().st_size - _TAIL)
        file.seek(start)
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        if whole or not start:
            file.truncate(start + whole)
    lines = tail[:whole].splitlines()
    with contextlib.suppress(msgspec.MsgspecError, IndexError):
        return msgspec.json.decode(lines[-1], type=_Line).sequence
    return 0
