"""The queue in which events wait for the event-pusher.

Nobody says an event again once the bus has it. So whoever says events makes sure of the queue,
whether or not an event-pusher has ever run.
"""

from chassis.bus.port import Bus, Queue
from contracts.events import EventHappened
from contracts.messages import tag_of

EVENTS = Queue(name="event-pusher.events", keys=(tag_of(EventHappened),), ordered=True)


class KeepEvents:
    """A part of every service that says events."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def start(self) -> None:
        """See Part."""
        await self._bus.keep(EVENTS)

    async def stop(self) -> None:
        """The queue stays."""
