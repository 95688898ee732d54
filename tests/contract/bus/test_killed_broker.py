"""A broker of one's own, so that it can be killed."""

import asyncio
import time

from chassis.bus.amqp import AmqpBus
from chassis.bus.port import Queue, QueueKind
from chassis.clock import SystemClock
from chassis.errors import BusDown
from chassis.servers import RabbitServer
from tests.contract.bus.worlds import Inbox, said
from tests.servers import rabbit_server
from tests.waiting import until


async def test_a_broker_killed_and_started_again_loses_nothing_confirmed(
    own_rabbitmq: RabbitServer,
):
    bus = AmqpBus(own_rabbitmq.url, SystemClock(), publish_limit=5)
    await bus.start()
    await until(lambda: bus.connected)
    work, projection, node = Inbox(), Inbox(), Inbox()
    queue = Queue(name="work", keys=("work.#",), prefetch=10_000)
    await bus.consume(queue, work.receive, work.become_ready)
    await bus.consume(
        Queue(name="view", keys=("work.#",), kind=QueueKind.PROJECTION),
        projection.receive,
        projection.become_ready,
    )
    await bus.consume(
        Queue(name="agent", keys=("node.agent",), kind=QueueKind.NODE),
        node.receive,
        node.become_ready,
    )
    confirmed: set[bytes] = set()
    refused = 0

    async def publish(publisher: int) -> None:
        nonlocal refused
        for number in range(200):
            text = f"{publisher}-{number}"
            try:
                await bus.publish([said(f"work.{publisher}", text)])
            except BusDown:
                refused += 1
                await asyncio.sleep(0.01)
            else:
                confirmed.add(b'["%s"]' % text.encode())

    # RabbitMQ keeps its list of quorum queues half a second late: one younger than that is lost.
    declared = time.monotonic()
    await until(lambda: time.monotonic() - declared > 1)
    publishing = asyncio.gather(*[publish(n) for n in range(10)])
    await until(lambda: len(confirmed) > 300)
    own_rabbitmq.kill()
    await until(lambda: not bus.connected)
    await publishing
    assert refused
    await own_rabbitmq.start()
    await until(lambda: bus.connected, limit=10)
    for inbox in (work, projection, node):
        await until(lambda inbox=inbox: inbox.ready == 2, limit=10)
    await until(lambda: confirmed <= set(work.bodies), limit=20)
    assert list(await bus.publish([said("work.new"), said("node.agent")])) == []
    await until(lambda: b'["x"]' in work.bodies and b'["x"]' in projection.bodies)
    await node.holds(1)
    await bus.stop()


async def test_a_bus_may_come_before_its_broker(tmp_path):
    server = rabbit_server(tmp_path / "rabbit")
    bus = AmqpBus(server.url, SystemClock())
    await bus.start()
    inbox = Inbox()
    await bus.consume(Queue(name="early", keys=("early",)), inbox.receive, inbox.become_ready)
    assert not bus.connected
    await server.start()
    try:
        await until(lambda: bus.connected and inbox.ready, limit=10)
        await bus.publish([said("early")])
        await inbox.holds(1)
    finally:
        await bus.stop()
        server.kill()
