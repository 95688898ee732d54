"""The way of every event: into the log first, then to whoever follows it."""

import asyncio
from collections.abc import Callable, Sequence

from contracts.events import EventHappened
from event_pusher.central_lines import CentralLines
from event_pusher.domain.wire import Parcel
from event_pusher.event_log import EventLog
from event_pusher.lines import EventLines
from event_pusher.reader import LogReader

Offer = Callable[[Sequence[Parcel]], None]


class Recorder:
    """What the bus says and what the event-pusher itself has to say come together here."""

    def __init__(
        self, log: EventLog, reader: LogReader, lines: Sequence[EventLines | CentralLines]
    ) -> None:
        self._log = log
        self._reader = reader
        self._lines = lines
        self._offer: Offer = lambda _parcels: None
        self._one_at_a_time = asyncio.Lock()

    def follow(self, offer: Offer) -> None:
        """From now on these are told of what was committed."""
        self._offer = offer

    async def record(self, events: Sequence[EventHappened]) -> None:
        """Make events durable, once each, in this order. Unavailable: say them again."""
        async with self._one_at_a_time:
            documents = await self._log.append(events)
            parcels = [self._reader.pack(document) for document in documents]
            self._reader.remember(parcels)
            self._offer(parcels)
            for lines in self._lines:
                await lines.follow(parcels)
