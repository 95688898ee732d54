"""The bus in one process, with the broker's semantics: for the embedded cloud and for tests."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from chassis.bus import topology
from chassis.bus.dead_letters import DELIVERY_LIMIT, DeadLetter
from chassis.bus.memory_journal import Declared, Journal, Put
from chassis.bus.memory_queue import Entry, MemoryDelivery, MemoryQueue, Seat
from chassis.bus.packing import pack
from chassis.bus.port import RETRY_DELAYS, Delivery, Queue, QueueKind
from chassis.clock import Clock
from chassis.errors import BusDown, NotFound
from chassis.telemetry import CONNECTED, PUBLISHED
from contracts.documents import Said

_log = structlog.get_logger()


class MemoryBus:
    """See chassis.bus.port.Bus.

    With ``journal`` its WORK queues, dead letters and put-off messages survive the process.
    ``cut`` and ``heal`` are an outage of the broker's network, for tests.
    """

    def __init__(self, clock: Clock, journal: Path | None = None) -> None:
        self._clock = clock
        self._journal = Journal(journal)
        self._queues: dict[str, MemoryQueue] = {}
        self._routes: dict[str, tuple[MemoryQueue, ...]] = {}
        self._subscriptions: list[MemorySubscription] = []
        self._orders = itertools.count(1)
        self._timers: set[asyncio.Task[None]] = set()
        self._connected = False

    @property
    def connected(self) -> bool:
        """See Bus."""
        return self._connected

    async def start(self) -> None:
        """See Bus."""
        declared, puts = self._journal.open()
        for queue in declared:
            self._queue(queue.name, QueueKind.WORK, queue.limit).keys.update(queue.keys)
        self._orders = itertools.count(max((put.order for put in puts), default=0) + 1)
        for put in puts:
            self._restore(put)
        self.heal()

    async def stop(self) -> None:
        """See Bus."""
        self.cut()
        self._subscriptions.clear()
        for timer in list(self._timers):
            timer.cancel()
            with suppress(asyncio.CancelledError):
                await timer
        self._journal.close()

    def cut(self) -> None:
        """Lose the connection: publishing fails, what is not settled goes back."""
        self._connected = False
        CONNECTED.set(0)
        for subscription in self._subscriptions:
            subscription.leave()

    def heal(self) -> None:
        """Connect again and subscribe everybody anew."""
        self._connected = True
        CONNECTED.set(1)
        for subscription in self._subscriptions:
            subscription.sit_down()

    async def publish(self, items: Sequence[Said]) -> Sequence[Said]:
        """See Bus."""
        self._check()
        unroutable: list[Said] = []
        puts: list[Put] = []
        for packet in pack(items):
            queues = self._route(packet.key)
            if not queues:
                unroutable += packet.items
            for queue in queues:
                entry = Entry(next(self._orders), packet.key, packet.body)
                if queue.durable:
                    puts.append(entry.record(queue.name))
                queue.add(entry)
        self._journal.put(puts)
        PUBLISHED.inc(len(items) - len(unroutable))
        await asyncio.sleep(0)
        return unroutable

    async def consume(
        self,
        queue: Queue,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None = None,
    ) -> "MemorySubscription":
        """See Bus."""
        subscription = MemorySubscription(self, queue, receive, ready)
        self._subscriptions.append(subscription)
        if self._connected:
            subscription.sit_down()
        return subscription

    def delete(self, name: str) -> None:
        """Remove a queue with its messages; who consumes it subscribes again."""
        consumers = [s for s in self._subscriptions if s.queue.name == name]
        for subscription in consumers:
            subscription.leave()
        for entry in self._queues[name].entries():
            self._journal.remove(entry.order)
        self._drop(name)
        for subscription in consumers:
            subscription.sit_down()

    def dead_letters(self, name: str) -> list[DeadLetter]:
        """What lies in the dead-letter queue ``name`` (``<queue>.dead``), oldest first."""
        found = self._queues.get(name)
        return [
            DeadLetter(
                number=number,
                queue=entry.origin,
                key=entry.key,
                reason=entry.reason,
                attempt=entry.attempt,
                body=entry.body,
            )
            for number, entry in enumerate(found.entries() if found else (), 1)
        ]

    def replay(self, name: str, numbers: Sequence[int]) -> int:
        """Send dead letters back to the queue they were for; NotFound when that is gone."""
        entries = list(self._queues[name].entries()) if name in self._queues else []
        chosen = [entry for number, entry in enumerate(entries, 1) if number in numbers]
        for entry in chosen:
            target = self._queues.get(entry.origin)
            if target is None:
                raise NotFound(f"queue {entry.origin} does not exist")
            self._queues[name].take_out(entry)
            self._journal.remove(entry.order)
            self._enqueue(target, Entry(next(self._orders), entry.key, entry.body))
        return len(chosen)

    # What subscriptions and deliveries need.

    def seat(self, seat: Seat) -> None:
        """Declare and bind the queue, take a place at it."""
        wanted = seat.queue
        queue = self._queue(wanted.name, wanted.kind, wanted.delivery_limit)
        if not queue.keys.issuperset(wanted.keys):
            queue.keys.update(wanted.keys)
            self._routes.clear()
        if queue.durable:
            self._journal.declare(Declared(queue.name, tuple(sorted(queue.keys)), queue.limit))
        queue.seats.append(seat)
        queue.wake()

    def forget(self, subscription: "MemorySubscription") -> None:
        """It will not subscribe again."""
        with suppress(ValueError):
            self._subscriptions.remove(subscription)

    def unseat(self, seat: Seat) -> None:
        """Leave the queue; what the seat held goes back."""
        seat.lost = True
        queue = self._queues[seat.queue.name]
        with suppress(ValueError):
            queue.seats.remove(seat)
        for entry in list(seat.unsettled.values()):
            self._give_back(seat, entry)
        if queue.seats:
            return
        if queue.kind is QueueKind.PROJECTION:
            self._drop(queue.name)
        elif queue.kind is QueueKind.NODE:
            self._later(self._expire(queue, seat.queue.expires))

    def ack(self, seat: Seat, entry: Entry) -> None:
        """See Delivery."""
        self._settle(seat, entry)
        self._journal.remove(entry.order)
        self._queues[seat.queue.name].wake()

    def requeue(self, seat: Seat, entry: Entry) -> None:
        """See Delivery."""
        self._check_seat(seat)
        self._give_back(seat, entry)

    def retry(self, queue: Queue, entry: Entry, body: bytes) -> None:
        """See Delivery."""
        self._check()
        if topology.retry_queue(queue, entry.attempt) is None:
            self.bury(queue, entry, body, f"failed {entry.attempt + 1} times")
            return
        delay = RETRY_DELAYS[entry.attempt]
        again = Entry(next(self._orders), entry.key, body, attempt=entry.attempt + 1)
        self._journal.put([again.record(queue.name, self._clock.now().timestamp() + delay)])
        self._later(self._put_off(queue.name, again, delay))

    def bury(self, queue: Queue, entry: Entry, body: bytes, reason: str) -> None:
        """See Delivery."""
        self._check()
        dead = Entry(
            next(self._orders),
            entry.key,
            body,
            attempt=entry.attempt,
            reason=reason,
            origin=queue.name,
        )
        target = self._queue(topology.dead_queue(queue), QueueKind.WORK, 0)
        self._enqueue(target, dead)
        if target.name == topology.SHARED_DEAD and len(target) > topology.SHARED_DEAD_LENGTH:
            self._journal.remove(target.waiting.popleft().order)

    def _check(self) -> None:
        if not self._connected:
            raise BusDown("not connected to the message broker")

    def _check_seat(self, seat: Seat) -> None:
        if seat.lost:
            raise BusDown("the delivery went back to its queue")

    def _settle(self, seat: Seat, entry: Entry) -> None:
        self._check_seat(seat)
        del seat.unsettled[entry.order]

    def _give_back(self, seat: Seat, entry: Entry) -> None:
        del seat.unsettled[entry.order]
        queue = self._queues[seat.queue.name]
        if queue.kind is not QueueKind.WORK:
            entry.redelivered = 1
            queue.give_back(entry)
            return
        entry.redelivered += 1
        if entry.redelivered <= queue.limit:
            self._journal.put([entry.record(queue.name)])
            queue.give_back(entry)
            return
        self._journal.remove(entry.order)
        dead = Entry(
            next(self._orders),
            entry.key,
            entry.body,
            attempt=entry.attempt,
            reason=DELIVERY_LIMIT,
            origin=queue.name,
        )
        self._enqueue(self._queue(topology.dead_queue(seat.queue), QueueKind.WORK, 0), dead)

    def _queue(self, name: str, kind: QueueKind, limit: int) -> MemoryQueue:
        found = self._queues.get(name)
        if found is None:
            found = self._queues[name] = MemoryQueue(name, kind, limit)
            self._routes.clear()
        return found

    def _drop(self, name: str) -> None:
        del self._queues[name]
        self._routes.clear()

    def _route(self, key: str) -> tuple[MemoryQueue, ...]:
        found = self._routes.get(key)
        if found is None:
            found = tuple(queue for queue in self._queues.values() if queue.takes(key))
            self._routes[key] = found
        return found

    def _enqueue(self, queue: MemoryQueue, entry: Entry) -> None:
        if queue.durable:
            self._journal.put([entry.record(queue.name)])
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
            self._queue(put.queue, QueueKind.WORK, 0).add(entry)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._timers.add(task)
        task.add_done_callback(self._timers.discard)

    async def _put_off(self, name: str, entry: Entry, delay: float) -> None:
        await self._clock.sleep(delay)
        queue = self._queues.get(name)
        if queue is None:
            _log.warning("bus.retry_without_queue", queue=name)
            return
        self._enqueue(queue, entry)

    async def _expire(self, queue: MemoryQueue, seconds: float) -> None:
        """Remove a queue that nobody came back to."""
        left = queue.lefts = queue.lefts + 1
        await self._clock.sleep(seconds)
        if queue.lefts == left and not queue.seats and self._queues.get(queue.name) is queue:
            self._drop(queue.name)


class MemorySubscription:
    """See chassis.bus.port.Consumer."""

    def __init__(
        self,
        bus: MemoryBus,
        queue: Queue,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None,
    ) -> None:
        self.queue = queue
        self._bus = bus
        self._receive = receive
        self._ready = ready
        self._seat: Seat | None = None

    async def stop(self) -> None:
        """See Consumer."""
        self._bus.forget(self)
        self.leave()

    def sit_down(self) -> None:
        """Subscribe; a PROJECTION has a queue of its own each time."""
        name = self.queue.name
        if self.queue.kind is QueueKind.PROJECTION:
            name = f"{name}.{uuid.uuid4().hex}"
        self._seat = Seat(msgspec.structs.replace(self.queue, name=name), self._deliver)
        self._bus.seat(self._seat)
        if self._ready is not None:
            self._ready()

    def leave(self) -> None:
        """Give up the seat, if there is one."""
        seat, self._seat = self._seat, None
        if seat is not None:
            self._bus.unseat(seat)

    def _deliver(self, entry: Entry, seat: Seat) -> None:
        self._receive(MemoryDelivery(self._bus, seat, entry))
