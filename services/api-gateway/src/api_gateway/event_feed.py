"""The event log as a stream: read once, shown to whoever follows it.

The log numbers its events without holes and in commit order, so that "everything after N" never
skips one. What is new is read for all followers together and encoded once; a follower that is
further behind than what is kept here reads the log itself until it has caught up.
"""

import asyncio
import contextlib
import platform
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client import Gauge

from api_gateway.event_reader import EventReader, Selection
from chassis.errors import Unavailable
from chassis.streams import KEEP_ALIVE
from contracts.events import EventDocument, EventHappened, public_event

FOLLOWERS = Gauge("corral_event_followers", "Requests that follow the event log.")

_KEPT = 4096
_PAGE = 1000
_KEEP_ALIVE_SECONDS = 15.0
_RETRY = b"retry: 1000\n"
_encode = msgspec.json.Encoder(order="sorted").encode
_log = structlog.get_logger()


class Shown(NamedTuple):
    """An event as followers get it."""

    sequence: int
    event: EventHappened
    piece: bytes


class EventFeed:
    """``keep_alive``: seconds after which a follower hears that nothing happened."""

    def __init__(self, events: EventReader, keep_alive: float = _KEEP_ALIVE_SECONDS) -> None:
        self._events = events
        self._keep_alive = keep_alive
        self._machine = platform.node()
        self._followers = 0
        self._kept: list[Shown] = []
        self._since: int | None = None
        self._newest = 0
        self._news: asyncio.Future[None] | None = None

    async def poll(self) -> None:
        """Read what is new; called several times a second, and idle while nobody follows."""
        if not self._followers:
            self._since = None
            self._kept.clear()
            return
        with contextlib.suppress(Unavailable):  # followers wait; what they miss is in the log
            if self._since is None:
                self._since = self._newest = await self._events.newest()
                self._wake()
            while found := await self._after(self._newest, Selection()):
                self._keep(found)
                if len(found) < _PAGE:
                    break

    async def start_of(self, after: int | None) -> int:
        """Where to begin: behind event ``after``, or behind all there are."""
        newest = await self._events.newest()
        return newest if after is None else min(after, newest)

    async def follow(self, position: int, selection: Selection) -> AsyncGenerator[bytes, None]:
        """Server-sent events after ``position``, without end. The first piece comes at once.

        An id without data moves a client's Last-Event-ID over what its filter hides.
        """
        said = position
        self._followers += 1
        FOLLOWERS.inc()
        try:
            yield _RETRY + _id(position)
            while True:
                news = self._next_news()
                found, position = await self._read(position, selection)
                if found:
                    said = found[-1].sequence
                    yield b"".join([shown.piece for shown in found])
                if self._is_behind(position):
                    continue
                done, _ = await asyncio.wait({news}, timeout=self._keep_alive)
                if not done:
                    yield _id(position) if position != said else KEEP_ALIVE
                    said = position
        finally:
            self._followers -= 1
            FOLLOWERS.dec()

    def _is_behind(self, position: int) -> bool:
        return self._since is not None and position < self._newest

    async def _read(self, position: int, selection: Selection) -> tuple[list[Shown], int]:
        """What is selected after ``position``, and up to where that is all."""
        if self._since is not None and position >= self._since:
            begin = bisect_right(self._kept, position, key=_sequence)
            kept = self._kept[begin:]
            found = [shown for shown in kept if selection.takes(shown.event)]
            return found, max(position, self._newest)
        try:
            newest = await self._events.newest()
            found = await self._after(position, selection)
        except Unavailable as error:
            _log.warning("events.follower_waits", error=str(error))
            return [], position
        if len(found) == _PAGE:
            return found, found[-1].sequence
        return found, max([newest, *(shown.sequence for shown in found)])

    async def _after(self, position: int, selection: Selection) -> list[Shown]:
        wanted = msgspec.structs.replace(selection, after=position)
        found = await self._events.select(wanted, _PAGE, newest_first=False)
        return [self._shown(document) for document in found]

    def _shown(self, document: EventDocument) -> Shown:
        data = _encode(public_event(document, self._machine))
        piece = b"id: %d\ndata: %s\n\n" % (document.sequence, data)
        return Shown(document.sequence, document.event, piece)

    def _keep(self, found: Sequence[Shown]) -> None:
        self._kept += found
        self._newest = found[-1].sequence
        surplus = len(self._kept) - _KEPT
        if surplus > 0:
            self._since = self._kept[surplus - 1].sequence
            del self._kept[:surplus]
        self._wake()

    def _next_news(self) -> "asyncio.Future[None]":
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        return self._news

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set_result(None)
            self._news = None


def _id(position: int) -> bytes:
    return b"id: %d\n\n" % position


def _sequence(shown: Shown) -> int:
    return shown.sequence
