"""What the event-pusher does with what it hears."""

from collections.abc import Sequence

from chassis.bus.port import Queue, QueueKind
from contracts.events import EventHappened
from contracts.messages import Message, tag_of
from contracts.webhooks import EndpointChanged
from event_pusher.endpoints import Endpoints
from event_pusher.recorder import Recorder

ENDPOINTS = Queue(
    name="event-pusher.endpoints", keys=(tag_of(EndpointChanged),), kind=QueueKind.PROJECTION
)
"""Wake-ups for whoever holds the lease; the sweep finds what they do not tell."""


class EventHandlers:
    """What is said of the world is recorded; what is said of endpoints is looked at."""

    def __init__(self, recorder: Recorder, endpoints: Endpoints) -> None:
        self._recorder = recorder
        self._endpoints = endpoints

    async def event_happened(self, messages: Sequence[Message]) -> None:
        """Make a batch durable; it is acknowledged when this returns."""
        await self._recorder.record([m for m in messages if isinstance(m, EventHappened)])

    async def endpoint_changed(self, _messages: Sequence[Message]) -> None:
        """Read the endpoints again."""
        self._endpoints.wake()
