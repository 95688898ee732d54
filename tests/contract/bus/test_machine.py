"""The two buses, driven side by side by chance, must tell the same story.

Compared: the order within each queue, redeliveries, dead letters, what is unroutable; outages
included. Not compared: time.
"""

import asyncio
import uuid
from collections.abc import Awaitable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from chassis.bus.port import Consumer, Queue, QueueKind
from chassis.servers import RabbitServer
from tests.contract.bus.worlds import AmqpWorld, Inbox, MemoryWorld, World, said
from tests.waiting import until

T = TypeVar("T")
KEYS = ("a", "b", "c.d")
BINDINGS = {
    QueueKind.WORK: ("a", "c.#"),
    QueueKind.NODE: ("*",),
    QueueKind.PROJECTION: ("#",),
}
LIMIT = 2
PREFETCH = {
    # RabbitMQ 3.10 hands out one too many after a message passed its delivery limit.
    QueueKind.WORK: 100,
    QueueKind.NODE: 3,
    QueueKind.PROJECTION: 3,
}


class Side:
    """One world and what its subscriptions got."""

    def __init__(self, world: World, prefix: str) -> None:
        self.world = world
        self.prefix = prefix
        self.inboxes: dict[QueueKind, Inbox] = {}
        self.consumers: dict[QueueKind, Consumer] = {}
        self.settled: dict[QueueKind, int] = {}

    def queue(self, kind: QueueKind) -> Queue:
        return Queue(
            name=f"{self.prefix}.{kind}",
            keys=tuple(f"{self.prefix}.{binding}" for binding in BINDINGS[kind]),
            kind=kind,
            prefetch=PREFETCH[kind],
            delivery_limit=LIMIT,
            expires=600,
        )

    async def subscribe(self, kind: QueueKind) -> None:
        inbox = self.inboxes[kind] = Inbox()
        self.consumers[kind] = await self.world.bus.consume(
            self.queue(kind), inbox.receive, inbox.become_ready
        )

    async def leave(self, kind: QueueKind) -> None:
        await self.consumers.pop(kind).stop()
        del self.inboxes[kind]

    async def publish(self, key: str, text: str) -> list[bytes]:
        lost = await self.world.bus.publish([said(f"{self.prefix}.{key}", text)])
        return [item.body for item in lost]

    async def outage(self) -> None:
        for inbox in self.inboxes.values():
            inbox.deliveries.clear()
            inbox.ready = 0
        await self.world.cut()
        await self.world.heal()

    def story(self) -> dict[str, list[tuple[bytes, str, int]]]:
        """What each subscription holds, in its order."""
        return {
            kind: [(d.body, d.key.removeprefix(self.prefix), d.redelivered) for d in i.deliveries]
            for kind, i in self.inboxes.items()
        }

    async def dead(self) -> list[tuple[bytes, str, str]]:
        name = f"{self.queue(QueueKind.WORK).name}.dead"
        letters = await self.world.bus.dead_letters(name)
        # Sorted: what dies in one outage dies in no order.
        return sorted((x.body, x.key.removeprefix(self.prefix), x.reason) for x in letters)


class Buses(RuleBasedStateMachine):
    """Every rule does the same to both; ``agree`` waits until they tell the same."""

    loop: asyncio.AbstractEventLoop
    rabbitmq: RabbitServer
    url: str

    def __init__(self) -> None:
        super().__init__()
        prefix = uuid.uuid4().hex[:8]
        self.sides = (
            Side(MemoryWorld(), prefix),
            Side(AmqpWorld(self.rabbitmq, self.url), prefix),
        )
        self.number = 0
        for side in self.sides:
            self.run(side.world.start())
            self.run(side.subscribe(QueueKind.WORK))
            self.run(side.leave(QueueKind.WORK))

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.loop.run_until_complete(wait())

    def agree(self) -> None:
        """The broker may need a moment; then nothing may differ."""
        memory, amqp = self.sides

        async def compare() -> None:
            await memory.world.rest()
            for _ in range(300):
                if amqp.story() == memory.story() and await amqp.dead() == await memory.dead():
                    break
                await asyncio.sleep(0.01)
            await amqp.world.rest()  # and nothing more comes
            assert amqp.story() == memory.story()
            assert await amqp.dead() == await memory.dead()

        self.run(compare())

    @rule(key=st.sampled_from(KEYS))
    def publish(self, key: str) -> None:
        self.number += 1
        lost = [self.run(side.publish(key, str(self.number))) for side in self.sides]
        assert lost[0] == lost[1]
        self.agree()

    @rule(kind=st.sampled_from(QueueKind))
    def subscribe_or_leave(self, kind: QueueKind) -> None:
        for side in self.sides:
            if kind in side.inboxes:
                self.run(side.leave(kind))
            else:
                self.run(side.subscribe(kind))
        self.agree()

    @precondition(lambda self: any(i.deliveries for i in self.sides[0].inboxes.values()))
    @rule(
        how=st.sampled_from(["ack", "requeue", "dead_letter"]),
        which=st.integers(0, 4),
        data=st.data(),
    )
    def settle(self, how: str, which: int, data: st.DataObject) -> None:
        busy = [kind for kind, inbox in self.sides[0].inboxes.items() if inbox.deliveries]
        kind = data.draw(st.sampled_from(busy))
        for side in self.sides:
            deliveries = side.inboxes[kind].deliveries
            delivery = deliveries.pop(which % len(deliveries))
            if how == "dead_letter" and kind is QueueKind.WORK:
                self.run(delivery.dead_letter(delivery.body, "chance"))
            self.run(delivery.requeue() if how == "requeue" else delivery.ack())
        self.agree()

    @rule()
    def outage(self) -> None:
        for side in self.sides:
            self.run(side.outage())

        async def back() -> None:
            await until(lambda: all(i.ready for s in self.sides for i in s.inboxes.values()))

        self.run(back())
        self.agree()

    def teardown(self) -> None:
        for side in self.sides:
            self.run(side.world.stop())


@pytest.mark.timeout(180)
def test_the_two_buses_tell_the_same_story(rabbitmq: RabbitServer, rabbitmq_url: str):
    with asyncio.Runner() as runner:
        machine = type(
            "Machine",
            (Buses,),
            {"loop": runner.get_loop(), "rabbitmq": rabbitmq, "url": rabbitmq_url},
        )
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=20,
                stateful_step_count=15,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
