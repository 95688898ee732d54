"""What the event-pusher does with what it hears."""

from collections.abc import Sequence

from chassis.bus.port import Queue
from contracts.events import EventHappened
from contracts.messages import Message, tag_of
from event_pusher.central_lines import CentralLines
from event_pusher.courier import Courier
from event_pusher.event_log import EventLog
from event_pusher.lines import EventLines
from event_pusher.reader import Pack

QUEUE = Queue(name="event-pusher.events", keys=(tag_of(EventHappened),), ordered=True)


class EventHandlers:
    """Log first; then the file and the couriers get what is new."""

    def __init__(
        self,
        log: EventLog,
        pack: Pack,
        lines: Sequence[EventLines | CentralLines],
        couriers: Sequence[Courier],
    ) -> None:
        self._log = log
        self._pack = pack
        self._lines = lines
        self._couriers = couriers

    async def event_happened(self, messages: Sequence[Message]) -> None:
        """Make a batch durable; it is acknowledged when this returns."""
        events = [message for message in messages if isinstance(message, EventHappened)]
        parcels = [self._pack(document) for document in await self._log.append(events)]
        for courier in self._couriers:
            courier.offer(parcels)
        for lines in self._lines:
            await lines.follow(parcels)
