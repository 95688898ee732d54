"""One queue of the in-process bus, its subscriptions and what they hold."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from chassis.bus import topology
from chassis.bus.memory_journal import Put
from chassis.bus.port import Queue, QueueKind


class Entry:
    """A message in a queue; ``order`` is its place among all messages of the bus."""

    __slots__ = ("attempt", "body", "key", "order", "origin", "reason", "redelivered")

    def __init__(
        self,
        order: int,
        key: str,
        body: bytes,
        *,
        attempt: int = 0,
        redelivered: int = 0,
        reason: str = "",
        origin: str = "",
    ) -> None:
        self.order = order
        self.key = key
        self.body = body
        self.attempt = attempt
        self.redelivered = redelivered
        self.reason = reason
        self.origin = origin

    def record(self, queue: str, due: float = 0.0) -> Put:
        """As the journal keeps it."""
        return Put(
            self.order,
            queue,
            self.key,
            self.body,
            self.attempt,
            self.redelivered,
            self.reason,
            self.origin,
            due,
        )


class Seat:
    """One subscription's place at a queue, from one (re)subscription to the next loss."""

    def __init__(self, queue: Queue, deliver: Callable[[Entry, "Seat"], None]) -> None:
        self.queue = queue
        self.deliver = deliver
        self.unsettled: dict[int, Entry] = {}
        self.lost = False


class MemoryQueue:
    """Messages waiting in order; hands them out to the seats in turn, up to their prefetch.

    A WORK queue hands out what came back before anything else, in the order in which it came
    back (as quorum queues with a delivery limit do); the others put it back in its old place.
    """

    def __init__(self, name: str, kind: QueueKind, limit: int) -> None:
        self.name = name
        self.kind = kind
        self.limit = limit
        self.keys: set[str] = set()
        self.seats: deque[Seat] = deque()
        self.waiting: deque[Entry] = deque()
        self._returned: deque[Entry] = deque()
        self._woken = False
        self.lefts = 0

    @property
    def durable(self) -> bool:
        """Whether the journal keeps its messages."""
        return self.kind is QueueKind.WORK

    def __len__(self) -> int:
        return len(self.waiting) + len(self._returned)

    def takes(self, key: str) -> bool:
        """Whether a message with this key belongs here."""
        return any(topology.matches(binding, key) for binding in self.keys)

    def add(self, entry: Entry) -> None:
        """At the end."""
        self.waiting.append(entry)
        self.wake()

    def give_back(self, entry: Entry) -> None:
        """What was handed out and not settled."""
        if self.kind is QueueKind.WORK:
            self._returned.append(entry)
        else:
            later = deque(itertools.takewhile(lambda e: e.order < entry.order, self.waiting))
            for _ in later:
                self.waiting.popleft()
            self.waiting.appendleft(entry)
            self.waiting.extendleft(reversed(later))
        self.wake()

    def entries(self) -> Iterable[Entry]:
        """What waits, next first."""
        return [*self._returned, *self.waiting]

    def take_out(self, entry: Entry) -> None:
        """Remove one that waits."""
        (self._returned if entry in self._returned else self.waiting).remove(entry)

    def wake(self) -> None:
        """Hand out what can be, soon: nobody is called from within a publish."""
        if not self._woken and self.seats and len(self):
            self._woken = True
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        self._woken = False
        while len(self):
            seat = self._free_seat()
            if seat is None:
                return
            entry = (self._returned or self.waiting).popleft()
            seat.unsettled[entry.order] = entry
            seat.deliver(entry, seat)

    def _free_seat(self) -> Seat | None:
        first = self.seats[0] if self.seats else None
        if first is not None and first.queue.ordered:
            return first if len(first.unsettled) < first.queue.prefetch else None
        for _ in range(len(self.seats)):
            seat = self.seats[0]
            self.seats.rotate(-1)
            if len(seat.unsettled) < seat.queue.prefetch:
                return seat
        return None


class Settler(Protocol):
    """What a delivery asks of its bus."""

    def ack(self, seat: Seat, entry: Entry) -> None:
        """Done."""
        ...

    def requeue(self, seat: Seat, entry: Entry) -> None:
        """Again, at once."""
        ...

    def retry(self, queue: Queue, entry: Entry, body: bytes) -> None:
        """Again, later."""
        ...

    def bury(self, queue: Queue, entry: Entry, body: bytes, reason: str) -> None:
        """Never again."""
        ...


class MemoryDelivery:
    """See chassis.bus.port.Delivery."""

    __slots__ = ("_bus", "_entry", "_seat", "attempt", "body", "key", "redelivered")

    def __init__(self, bus: "Settler", seat: Seat, entry: Entry) -> None:
        self._bus = bus
        self._seat = seat
        self._entry = entry
        self.body = entry.body
        self.key = entry.key
        self.attempt = entry.attempt
        self.redelivered = entry.redelivered

    async def ack(self) -> None:
        """See Delivery."""
        self._bus.ack(self._seat, self._entry)

    async def requeue(self) -> None:
        """See Delivery."""
        self._bus.requeue(self._seat, self._entry)

    async def retry(self, body: bytes) -> None:
        """See Delivery."""
        self._bus.retry(self._seat.queue, self._entry, body)

    async def dead_letter(self, body: bytes, reason: str) -> None:
        """See Delivery."""
        self._bus.bury(self._seat.queue, self._entry, body, reason)
