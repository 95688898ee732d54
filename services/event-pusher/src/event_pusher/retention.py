"""How long the event log is kept."""

from datetime import timedelta

import structlog

from chassis.clock import Clock
from event_pusher.event_log import EventLog
from event_pusher.store import EventStore

_BATCH = 5000
_log = structlog.get_logger()


class Retention:
    """Keeps the newest ``most`` events, and of those what is younger than ``days``.

    The newest event stays always, for the sequence goes on from it. An endpoint that is so far
    behind loses what goes, and its courier says so.
    """

    def __init__(
        self, log: EventLog, events: EventStore, clock: Clock, *, days: float, most: int
    ) -> None:
        self._log = log
        self._events = events
        self._clock = clock
        self._days = days
        self._most = most

    async def sweep(self) -> None:
        """Remove what is too old or too much, oldest first and piece by piece."""
        newest = self._log.newest
        oldest = first = await self._events.oldest()
        since = self._clock.now() - timedelta(days=self._days)
        young = await self._events.oldest(since) or newest
        keep = min(max(young, newest - self._most + 1), newest)
        while oldest and oldest < keep:
            oldest = min(oldest + _BATCH, keep)
            await self._events.drop_below(oldest)
        if first < keep:
            _log.info("event_log.expired", events=keep - first, oldest=keep)
