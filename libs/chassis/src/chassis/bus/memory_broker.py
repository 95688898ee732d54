"""The broker inside the in-process bus: queues, bindings, settling, expiry, the journal."""

import asyncio
import itertools
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog

from chassis.bus import topology
from chassis.bus.dead_letters import DELIVERY_LIMIT
from chassis.bus.memory_journal import Declared, Journal, Put
from chassis.bus.memory_queue import Entry, MemoryQueue, Seat
from chassis.bus.port import Queue, QueueKind
from chassis.clock import Clock
from chassis.errors import BusDown
from chassis.telemetry import MESSAGES

_log = structlog.get_logger()


class MemoryBroker:
    """Everything that a real broker would keep; ``connected`` is whether clients reach it."""

    def __init__(self, clock: Clock, journal: Journal, retry_delays: Sequence[float]) -> None:
        self.connected = False
        self.journal = journal
        self.queues: dict[str, MemoryQueue] = {}
        self.retry_delays = retry_delays
        self._clock = clock
        self._routes: dict[str, tuple[MemoryQueue, ...]] = {}
        self._orders = itertools.count(1)
        self._timers: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Load what the last process left."""
        declared, puts = self.journal.open()
        if declared:
            self.queues.clear()
            self._routes.clear()
        for queue in declared:
            self.queue(queue.name, QueueKind.WORK, queue.limit).keys.update(queue.keys)
        self._orders = itertools.count(max((put.order for put in puts), default=0) + 1)
        for put in puts:
            self._restore(put)

    async def stop(self) -> None:
        """End timers, close the journal."""
        for timer in list(self._timers):
            timer.cancel()
            with suppress(asyncio.CancelledError):
                await timer
        self.journal.close()

    def next_order(self) -> int:
        """The place of the next message among all."""
        return next(self._orders)

    def seat(self, seat: Seat) -> None:
        """Declare and bind the queue, take a place at it."""
        queue = self.declare(seat.queue)
        queue.seats.append(seat)
        queue.wake()

    def declare(self, wanted: Queue) -> MemoryQueue:
        """Have the queue, bound to its keys."""
        queue = self.queue(wanted.name, wanted.kind, wanted.delivery_limit)
        if wanted.kind is QueueKind.WORK:
            self.queue(topology.dead_queue(wanted), QueueKind.WORK, 0)
        if not queue.keys.issuperset(wanted.keys):
            queue.keys.update(wanted.keys)
            self._routes.clear()
        if queue.durable:
            self.journal.declare(Declared(queue.name, tuple(sorted(queue.keys)), queue.limit))
        return queue

    def unseat(self, seat: Seat) -> None:
        """Leave the queue; what the seat held goes back."""
        seat.lost = True
        queue = self.queues[seat.queue.name]
        with suppress(ValueError):
            queue.seats.remove(seat)
        for entry in list(seat.unsettled.values()):
            self._give_back(seat, entry)
        if queue.seats:
            return
        if queue.kind is QueueKind.PROJECTION:
            self.drop(queue.name)
        elif queue.kind is QueueKind.NODE:
            self._later(self._expire(queue, seat.queue.expires))

    def ack(self, seat: Seat, entry: Entry) -> None:
        """See Delivery."""
        self._settle(seat, entry)
        self.journal.remove(entry.order)
        self.queues[seat.queue.name].wake()

    def requeue(self, seat: Seat, entry: Entry) -> None:
        """See Delivery."""
        self._check_seat(seat)
        self._give_back(seat, entry)

    def retry(self, queue: Queue, entry: Entry, body: bytes) -> None:
        """See Delivery."""
        self.check()
        delay = topology.retry_delay(queue, entry.attempt, self.retry_delays)
        if delay is None:
            self.bury(queue, entry, body, f"failed {entry.attempt + 1} times")
            return
        again = Entry(self.next_order(), entry.key, body, attempt=entry.attempt + 1)
        self.journal.put([again.record(queue.name, self._clock.now().timestamp() + delay)])
        self._later(self._put_off(queue.name, again, delay))
        MESSAGES.labels(queue.label, "retried").inc()

    def bury(self, queue: Queue, entry: Entry, body: bytes, reason: str) -> None:
        """See Delivery."""
        self.check()
        dead = Entry(
            self.next_order(),
            entry.key,
            body,
            attempt=entry.attempt,
            reason=reason,
            origin=queue.name,
        )
        target = self.queue(topology.dead_queue(queue), QueueKind.WORK, 0)
        self.enqueue(target, dead)
        MESSAGES.labels(queue.label, "dead").inc()
        if target.name == topology.SHARED_DEAD and len(target) > topology.SHARED_DEAD_LENGTH:
            self.journal.remove(target.waiting.popleft().order)

    def check(self) -> None:
        """BusDown while the connection is cut."""
        if not self.connected:
            raise BusDown("not connected to the message broker")

    def _check_seat(self, seat: Seat) -> None:
        if seat.lost:
            raise BusDown("the delivery went back to its queue")

    def _settle(self, seat: Seat, entry: Entry) -> None:
        self._check_seat(seat)
        del seat.unsettled[entry.order]

    def _give_back(self, seat: Seat, entry: Entry) -> None:
        del seat.unsettled[entry.order]
        queue = self.queues[seat.queue.name]
        if queue.kind is not QueueKind.WORK:
            entry.redelivered = 1
            queue.give_back(entry)
            return
        entry.redelivered += 1
        if entry.redelivered <= queue.limit:
            self.journal.put([entry.record(queue.name)])
            queue.give_back(entry)
            return
        self.journal.remove(entry.order)
        queue.wake()  # the seat has room again
        dead = Entry(
            self.next_order(),
            entry.key,
            entry.body,
            attempt=entry.attempt,
            reason=DELIVERY_LIMIT,
            origin=queue.name,
        )
        self.enqueue(self.queue(topology.dead_queue(seat.queue), QueueKind.WORK, 0), dead)
        MESSAGES.labels(seat.queue.label, "dead").inc()

    def queue(self, name: str, kind: QueueKind, limit: int) -> MemoryQueue:
        """The queue of that name, made when it is not there."""
        found = self.queues.get(name)
        if found is None:
            found = self.queues[name] = MemoryQueue(name, kind, limit)
            self._routes.clear()
        return found

    def drop(self, name: str) -> None:
        """Remove a queue with its messages."""
        for entry in self.queues[name].entries():
            self.journal.remove(entry.order)
        del self.queues[name]
        self._routes.clear()

    def route(self, key: str) -> tuple[MemoryQueue, ...]:
        """Every queue that a message with this key reaches."""
        found = self._routes.get(key)
        if found is None:
            found = tuple(queue for queue in self.queues.values() if queue.takes(key))
            self._routes[key] = found
        return found

    def enqueue(self, queue: MemoryQueue, entry: Entry) -> None:
        """Put a message into one queue, past the bindings."""
        if queue.durable:
            self.journal.put([entry.record(queue.name)])
        queue.add(entry)

    def _restore(self, put: Put) -> None:
        entry = Entry(
            put.order,
            put.key,
            put.body,
            attempt=put.attempt,
            redelivered=put.redelivered,
            reason=put.reason,
            origin=put.origin,
        )
        delay = put.due - self._clock.now().timestamp()
        if delay > 0:
            self._later(self._put_off(put.queue, entry, delay))
        else:
            self.queue(put.queue, QueueKind.WORK, 0).add(entry)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that waits for its time; ends with the broker."""
        task = asyncio.create_task(work)
        self._timers.add(task)
        task.add_done_callback(self._timers.discard)

    async def _put_off(self, name: str, entry: Entry, delay: float) -> None:
        await self._clock.sleep(delay)
        queue = self.queues.get(name)
        if queue is None:
            _log.warning("bus.retry_without_queue", queue=name)
            return
        self.enqueue(queue, entry)

    async def _expire(self, queue: MemoryQueue, seconds: float) -> None:
        """Remove a queue that nobody came back to."""
        left = queue.lefts = queue.lefts + 1
        await self._clock.sleep(seconds)
        if queue.lefts == left and not queue.seats and self.queues.get(queue.name) is queue:
            self.drop(queue.name)
