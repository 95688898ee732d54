"""Reading the event log as parcels."""

from collections.abc import Callable, Sequence

from contracts.events import EventDocument
from event_pusher.domain.delivery import Parcel
from event_pusher.event_log import EventLog
from event_pusher.store import EventStore

Pack = Callable[[EventDocument], Parcel]


class LogReader:
    """What followers of the log share; ``pack`` makes the JSON, once for all of them."""

    def __init__(self, log: EventLog, events: EventStore, pack: Pack) -> None:
        self._log = log
        self._events = events
        self.pack = pack

    @property
    def newest(self) -> int:
        """The highest sequence that can be read."""
        return self._log.newest

    async def after(self, sequence: int, limit: int) -> list[Parcel]:
        """The next parcels, in order."""
        return [self.pack(document) for document in await self._events.after(sequence, limit)]

    async def these(self, sequences: Sequence[int]) -> list[Parcel]:
        """The parcels with these sequences, in order."""
        return [self.pack(document) for document in await self._events.these(sequences)]
