"""The database dies, a leader is frozen: nothing is lost, doubled in the log, or reordered."""

import asyncio
import signal
import uuid

import pytest

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from chassis.store.mongo import MongoStore
from tests.pusher_process import PusherProcess, holder, taken_over
from tests.pushing import a_pusher, logged, many, publish, settings_for
from tests.servers import mongo_server
from tests.waiting import until

SUBJECTS = 10


async def in_order_and_complete(store, receiver, count):
    found = await logged(store)
    assert [event.sequence for event in found] == list(range(1, count + 1))
    assert {event.id for event in found} == {f"e{number}" for number in range(1, count + 1)}
    for subject in range(SUBJECTS):
        sequences = receiver.sequences(f"i{subject}")
        assert sequences == sorted(sequences)


@pytest.mark.timeout(90)
async def test_a_database_that_is_killed_loses_and_doubles_nothing(memory_bus, receiver, tmp_path):
    mongod = mongo_server(tmp_path / "mongod")
    await mongod.start()
    store = MongoStore(mongod.url, "corral", timeout=1.0)
    try:
        async with a_pusher(settings_for(event_log_url=receiver.url), memory_bus, store):
            for number in range(1, 401):
                await publish(memory_bus, many(1, SUBJECTS, number))
                if number in {100, 250}:
                    mongod.kill()
                    restarting = asyncio.create_task(mongod.start())
                if number in {150, 300}:
                    await restarting
            await until(lambda: len(receiver.sequences()) == 400, 40.0)
            await in_order_and_complete(store, receiver, 400)
    finally:
        await store.stop()
        mongod.kill()


@pytest.mark.timeout(90)
async def test_a_frozen_leader_that_wakes_up_neither_writes_nor_reorders(
    mongod, rabbitmq_url, receiver
):
    database = f"test_{uuid.uuid4().hex[:12]}"
    store = MongoStore(mongod.url, database)
    bus = AmqpBus(rabbitmq_url, SystemClock())
    await bus.start()
    pushers = [
        await PusherProcess.start(mongod, database, rabbitmq_url, receiver) for _ in range(2)
    ]
    try:
        await publish(bus, many(500, SUBJECTS), 20.0)
        await until(lambda: len(receiver.sequences()) > 50, 30.0)
        name = await holder(store)
        (leader,) = [pusher for pusher in pushers if pusher.leads(name)]
        leader.child.send_signal(signal.SIGSTOP)
        await until(lambda: taken_over(store, name), 10.0)
        await publish(bus, many(500, SUBJECTS, 501), 20.0)
        leader.child.send_signal(signal.SIGCONT)
        await publish(bus, many(500, SUBJECTS, 1001), 20.0)
        await until(lambda: len(receiver.sequences()) == 1500, 60.0)
        assert await taken_over(store, name)
        await in_order_and_complete(store, receiver, 1500)
    finally:
        for pusher in pushers:
            pusher.child.send_signal(signal.SIGCONT)
            await pusher.end(signal.SIGTERM)
        await bus.stop()
        await store.stop()
