"""The bus in one process, with the broker's semantics: for the embedded cloud and for tests."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from chassis.bus.dead_letters import DeadLetter
from chassis.bus.memory_broker import MemoryBroker
from chassis.bus.memory_journal import Journal, Put
from chassis.bus.memory_queue import Entry, MemoryDelivery, Seat
from chassis.bus.packing import pack
from chassis.bus.port import RETRY_DELAYS, Delivery, Queue, QueueKind
from chassis.clock import Clock
from chassis.errors import BusDown, NotFound
from chassis.telemetry import CONNECTED, PUBLISHED
from contracts.documents import Said


class MemoryBus:
    """See chassis.bus.port.Bus.

    With ``journal`` its WORK queues, dead letters and put-off messages survive the process.
    ``cut`` and ``heal`` are an outage of the broker's network, for tests.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Path | None = None,
        *,
        retry_delays: Sequence[float] = RETRY_DELAYS,
    ) -> None:
        self._broker = MemoryBroker(clock, Journal(journal), retry_delays)
        self._subscriptions: list[MemorySubscription] = []
        self._kept: dict[str, Queue] = {}

    @property
    def connected(self) -> bool:
        """See Bus."""
        return self._broker.connected

    async def start(self) -> None:
        """See Bus."""
        self._broker.start()
        self.heal()

    async def stop(self) -> None:
        """See Bus."""
        self.cut()
        self._subscriptions.clear()
        await self._broker.stop()

    def cut(self) -> None:
        """Lose the connection: publishing fails, what is not settled goes back."""
        self._broker.connected = False
        CONNECTED.set(0)
        for subscription in self._subscriptions:
            subscription.leave()

    def heal(self) -> None:
        """Connect again and subscribe everybody anew."""
        self._broker.connected = True
        CONNECTED.set(1)
        for queue in self._kept.values():
            self._broker.declare(queue)
        for subscription in self._subscriptions:
            subscription.sit_down()

    async def keep(self, queue: Queue) -> None:
        """See Bus."""
        self._kept[queue.name] = queue
        if self.connected:
            self._broker.declare(queue)

    async def publish(self, items: Sequence[Said]) -> Sequence[Said]:
        """See Bus."""
        self._broker.check()
        unroutable: list[Said] = []
        puts: list[Put] = []
        for packet in pack(items):
            queues = self._broker.route(packet.key)
            if not queues:
                unroutable += packet.items
            for queue in queues:
                entry = Entry(self._broker.next_order(), packet.key, packet.body)
                if queue.durable:
                    puts.append(entry.record(queue.name))
                queue.add(entry)
        self._broker.journal.put(puts)
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
        subscription = MemorySubscription(self._broker, queue, receive, ready)
        self._subscriptions.append(subscription)
        subscription.stopped = lambda: self._forget(subscription)
        if self._broker.connected:
            subscription.sit_down()
        return subscription

    def delete(self, name: str) -> None:
        """Remove a queue with its messages; who consumes it subscribes again."""
        consumers = [s for s in self._subscriptions if s.queue.name == name]
        for subscription in consumers:
            subscription.leave()
        self._broker.drop(name)
        for subscription in consumers:
            subscription.sit_down()

    async def dead_letters(self, name: str, limit: int = 1000) -> list[DeadLetter]:
        """See DeadLetterBox."""
        return [
            DeadLetter(
                number=number,
                queue=entry.origin,
                key=entry.key,
                reason=entry.reason,
                attempt=entry.attempt,
                body=entry.body,
            )
            for number, entry in enumerate(self._letters(name)[:limit], 1)
        ]

    async def replay(self, name: str, numbers: Sequence[int]) -> int:
        """See DeadLetterBox."""
        chosen = [entry for number, entry in enumerate(self._letters(name), 1) if number in numbers]
        for entry in chosen:
            target = self._broker.queues.get(entry.origin)
            if target is None:
                raise BusDown(f"there is no queue {entry.origin}")
            self._broker.queues[name].take_out(entry)
            self._broker.journal.remove(entry.order)
            self._broker.enqueue(target, Entry(self._broker.next_order(), entry.key, entry.body))
        return len(chosen)

    def _letters(self, name: str) -> list[Entry]:
        if name not in self._broker.queues:
            raise NotFound(f"queue {name} does not exist")
        return list(self._broker.queues[name].entries())

    def _forget(self, subscription: "MemorySubscription") -> None:
        with suppress(ValueError):
            self._subscriptions.remove(subscription)


class MemorySubscription:
    """See chassis.bus.port.Consumer."""

    def __init__(
        self,
        broker: MemoryBroker,
        queue: Queue,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None,
    ) -> None:
        self.queue = queue
        self._broker = broker
        self.stopped: Callable[[], None] = lambda: None
        self._receive = receive
        self._ready = ready
        self._seat: Seat | None = None

    async def stop(self) -> None:
        """See Consumer."""
        self.stopped()
        self.leave()

    def sit_down(self) -> None:
        """Subscribe; a PROJECTION has a queue of its own each time."""
        name = self.queue.name
        if self.queue.kind is QueueKind.PROJECTION:
            name = f"{name}.{uuid.uuid4().hex}"
        self._seat = Seat(msgspec.structs.replace(self.queue, name=name), self._deliver)
        self._broker.seat(self._seat)
        if self._ready is not None:
            self._ready()

    def leave(self) -> None:
        """Give up the seat, if there is one."""
        seat, self._seat = self._seat, None
        if seat is not None:
            self._broker.unseat(seat)

    def _deliver(self, entry: Entry, seat: Seat) -> None:
        self._receive(MemoryDelivery(self._broker, seat, entry))
