"""The one writer of the event log: every event once, in order, numbered without holes."""

import uuid
from collections.abc import Iterable, Sequence

import msgspec
import structlog
from prometheus_client import Counter

from chassis.errors import Conflict, StoreDown, Unavailable
from chassis.lease import Lease
from contracts.events import EventDocument, EventHappened
from event_pusher.store import EventStore

LOGGED = Counter("corral_events_logged_total", "Events written to the event log.")
REPEATS = Counter("corral_events_repeated_total", "Events that were in the log already.")

_RECENT = 20_000
_TRIES = 5
_log = structlog.get_logger()


class NotLeader(Unavailable):
    """Another event-pusher writes the log"""


class _Commit(msgspec.Struct, frozen=True):
    id: str
    documents: list[EventDocument]


class EventLog:
    """``newest`` is the highest sequence known to be durable.

    The ids last seen are kept in memory; older repeats meet the unique ids of the collection.
    """

    def __init__(self, events: EventStore, lease: Lease) -> None:
        self._events = events
        self._lease = lease
        self._recent: dict[str, None] = {}
        self._doubt: _Commit | None = None
        self.newest = 0

    async def start(self) -> None:
        """Find the end of the log. The lease is held already, so nobody else moves it."""
        await self._events.prepare()
        self.newest = await self._events.newest()

    async def stop(self) -> None:
        """See Part; nothing is open."""

    async def append(self, events: Sequence[EventHappened]) -> list[EventDocument]:
        """Make the events durable and return those that were new.

        Unavailable: nothing is known to be written, call again with the same events.
        """
        if any(not event.id for event in events):
            raise ValueError("an event without an id cannot be told from its repeat")
        await self._resolve_doubt()
        for _ in range(_TRIES):
            fresh = self._fresh(events)
            if not fresh:
                return []
            commit = self._number(fresh)
            try:
                await self._events.append(self._lease.fence(commit.id), commit.documents)
            except StoreDown:
                self._doubt = commit
                raise
            except Conflict:
                await self._find_repeats(fresh)
            else:
                self._adopt(commit)
                return commit.documents
        raise Unavailable("the event log keeps moving under its writer")

    def _fresh(self, events: Iterable[EventHappened]) -> list[EventHappened]:
        unique = {event.id: event for event in events if event.id not in self._recent}
        return list(unique.values())

    def _number(self, events: Iterable[EventHappened]) -> _Commit:
        numbered = enumerate(events, start=self.newest + 1)
        return _Commit(
            uuid.uuid4().hex,
            [
                EventDocument(id=event.id, sequence=number, event=event)
                for number, event in numbered
            ],
        )

    async def _resolve_doubt(self) -> None:
        """Learn what became of a commit whose outcome was unknown."""
        if self._doubt is None:
            return
        if await self._lease.committed(self._doubt.id):
            self._adopt(self._doubt)
        else:
            self.newest = await self._events.newest()
        self._doubt = None

    async def _find_repeats(self, events: Sequence[EventHappened]) -> None:
        """A commit met a conflict: the lease is gone, or some of it is in the log already."""
        if not await self._lease.renew():
            raise NotLeader
        known = await self._events.known([event.id for event in events])
        REPEATS.inc(len(known))
        _log.info("event_log.repeats", events=len(known))
        self._remember(known)
        self.newest = await self._events.newest()

    def _adopt(self, commit: _Commit) -> None:
        LOGGED.inc(len(commit.documents))
        self.newest = commit.documents[-1].sequence
        self._remember(document.id for document in commit.documents)

    def _remember(self, ids: Iterable[str]) -> None:
        self._recent.update(dict.fromkeys(ids))
        while len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
