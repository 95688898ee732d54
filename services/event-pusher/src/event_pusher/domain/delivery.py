"""The deliveries of one endpoint: which may go now, which wait, what must be remembered.

Every sequence up to the cursor is done unless it is open. Open ones are held in memory, at most
``limit`` of them, so an event that fails for days holds up its own subject and nothing else.
Of one subject at most one is in flight and a later one never overtakes an earlier one.
"""

import heapq
from collections import deque
from collections.abc import Iterable
from datetime import datetime

import msgspec

from contracts.webhooks import OpenDelivery
from event_pusher.domain.wire import Parcel

WINDOW = 1000
"""Open deliveries of one endpoint, at most."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What must be durable for nothing to be lost."""

    cursor: int
    open: tuple[OpenDelivery, ...] = ()


class Window:
    """Hands out parcels and takes their outcomes; times come in, no clock is read."""

    def __init__(self, cursor: int, limit: int = WINDOW) -> None:
        self.cursor = cursor
        self.limit = limit
        self._parcels: dict[int, Parcel] = {}
        self._queues: dict[str, deque[int]] = {}
        self._failures: dict[int, OpenDelivery] = {}
        self._retries: list[tuple[datetime, int]] = []

    def __len__(self) -> int:
        """How many deliveries are open."""
        return len(self._parcels)

    @property
    def room(self) -> int:
        """How many more may be added."""
        return max(0, self.limit - len(self._parcels))

    def restore(self, parcels: Iterable[Parcel], failures: Iterable[OpenDelivery]) -> list[Parcel]:
        """Take up what was open when the state was last stored; see ``add``."""
        self._failures = {failure.sequence: failure for failure in failures if failure.attempts}
        return self._enqueue(sorted(parcels, key=lambda parcel: parcel.sequence))

    def add(self, parcels: Iterable[Parcel]) -> list[Parcel]:
        """Open the next deliveries, in log order, and move the cursor over them.

        Like every method that returns parcels: those may be sent now, and each is in flight
        until ``done`` or ``failed`` is told of it.
        """
        taken = list(parcels)
        for parcel in taken:
            if parcel.sequence <= self.cursor:
                raise ValueError(f"sequence {parcel.sequence} is at or below {self.cursor}")
            self.cursor = parcel.sequence
        return self._enqueue(taken)

    def skip(self, sequence: int) -> None:
        """Move the cursor over an event that is not to be delivered."""
        self.cursor = sequence

    def done(self, sequence: int) -> list[Parcel]:
        """The parcel arrived, or is given up; the next of its subject may go."""
        parcel = self._parcels.pop(sequence)
        self._failures.pop(sequence, None)
        queue = self._queues[parcel.subject]
        queue.popleft()
        if not queue:
            del self._queues[parcel.subject]
            return []
        return self._head(queue)

    def failed(self, sequence: int, due: datetime) -> None:
        """The parcel did not arrive; it is handed out again when it is due."""
        self._failures[sequence] = OpenDelivery(
            sequence=sequence, attempts=self.attempts(sequence) + 1, due=due
        )
        heapq.heappush(self._retries, (due, sequence))

    def due(self, now: datetime) -> list[Parcel]:
        """The failed parcels whose time has come."""
        ready: list[Parcel] = []
        while self._retries and self._retries[0][0] <= now:
            ready.append(self._parcels[heapq.heappop(self._retries)[1]])
        return ready

    def hurry(self) -> list[Parcel]:
        """Everything that waits for its time, whatever that is."""
        ready = [self._parcels[sequence] for _, sequence in sorted(self._retries)]
        self._retries.clear()
        return ready

    def attempts(self, sequence: int) -> int:
        """How often this open delivery has failed."""
        known = self._failures.get(sequence)
        return known.attempts if known else 0

    def progress(self) -> Progress:
        """What to store."""
        return Progress(
            cursor=self.cursor,
            open=tuple(
                self._failures.get(sequence) or OpenDelivery(sequence=sequence)
                for sequence in self._parcels
            ),
        )

    def _enqueue(self, parcels: Iterable[Parcel]) -> list[Parcel]:
        ready: list[Parcel] = []
        for parcel in parcels:
            self._parcels[parcel.sequence] = parcel
            queue = self._queues.setdefault(parcel.subject, deque())
            queue.append(parcel.sequence)
            if len(queue) == 1:
                ready += self._head(queue)
        return ready

    def _head(self, queue: deque[int]) -> list[Parcel]:
        """The first of a subject: ready now, or waiting for its retry since before a restart."""
        sequence = queue[0]
        known = self._failures.get(sequence)
        if known is None or known.due is None:
            return [self._parcels[sequence]]
        heapq.heappush(self._retries, (known.due, sequence))
        return []
