"""Reading the event log as parcels."""

from collections.abc import Callable, Sequence

from contracts.events import EventDocument
from event_pusher.domain.wire import Parcel
from event_pusher.event_log import EventLog
from event_pusher.store import EventStore

Pack = Callable[[EventDocument], Parcel]

RECENT = 4000
"""Parcels that are kept in memory: a burst for many endpoints is read from there."""


class LogReader:
    """What followers of the log share; ``pack`` makes the JSON, once for all of them."""

    def __init__(self, log: EventLog, events: EventStore, pack: Pack) -> None:
        self._log = log
        self._events = events
        self.pack = pack
        self._recent: dict[int, Parcel] = {}

    @property
    def newest(self) -> int:
        """The highest sequence that can be read."""
        return self._log.newest

    def remember(self, parcels: Sequence[Parcel]) -> None:
        """Keep what was just written."""
        for parcel in parcels:
            self._recent[parcel.sequence] = parcel
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]

    async def after(self, sequence: int, limit: int) -> list[Parcel]:
        """The next parcels, in order."""
        found: list[Parcel] = []
        while len(found) < limit and (known := self._recent.get(sequence + len(found) + 1)):
            found.append(known)
        return found or [self.pack(one) for one in await self._events.after(sequence, limit)]

    async def these(self, sequences: Sequence[int]) -> list[Parcel]:
        """The parcels with these sequences, in order; those no longer in the log are missing."""
        return [self.pack(document) for document in await self._events.these(sequences)]
