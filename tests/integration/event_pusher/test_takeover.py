"""One event-pusher works, the next stands by; kill -9 loses, doubles and reorders nothing."""

import signal
import time
import uuid

import pytest

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from chassis.errors import Conflict
from chassis.store.mongo import MongoStore
from contracts.webhooks import Attempt, HistoryDocument, Outcome
from event_pusher.store import DELIVERIES, EndpointStore
from tests.pusher_process import PusherProcess, holder, taken_over
from tests.pushing import AT, a_pusher, log_length, logged, many, publish, settings_for
from tests.waiting import until

SUBJECTS = 25


async def test_a_standby_takes_over_at_once_when_the_leader_stops(memory_bus, own_store, receiver):
    settings = settings_for(event_log_url=receiver.url, lease_seconds=9.0)
    async with a_pusher(settings, memory_bus, own_store):
        await until(lambda: holder(own_store))
        first = await holder(own_store)
        standby = a_pusher(settings, memory_bus, own_store)
        await standby.__aenter__()
        await publish(memory_bus, many(50, SUBJECTS))
        await until(lambda: len(receiver.sequences()) == 50)
        assert await holder(own_store) == first
    began = time.monotonic()
    await until(lambda: taken_over(own_store, first))
    assert time.monotonic() - began < 5
    await publish(memory_bus, many(50, SUBJECTS, 51))
    await until(lambda: len(receiver.sequences()) == 100)
    await standby.__aexit__(None, None, None)


async def test_kill_9_of_the_leader_loses_doubles_and_reorders_nothing(
    mongod, rabbitmq_url, receiver
):
    database = f"test_{uuid.uuid4().hex[:12]}"
    store = MongoStore(mongod.url, database)
    bus = AmqpBus(rabbitmq_url, SystemClock())
    await bus.start()

    async def start():
        return await PusherProcess.start(mongod, database, rabbitmq_url, receiver)

    pushers = [await start() for _ in range(2)]
    try:
        for kills in range(1, 4):
            first = 1000 * (kills - 1) + 1
            await publish(bus, many(1000, SUBJECTS, first), 20.0)
            await publish(bus, many(50, SUBJECTS, first), 20.0)
            await until(lambda n=first + 300: len(receiver.sequences()) > n, 30.0)
            name = await holder(store)
            (leader,) = [pusher for pusher in pushers if pusher.leads(name)]
            await leader.end(signal.SIGKILL)
            began = time.monotonic()
            pushers.remove(leader)
            pushers.append(await start())
            await until(lambda name=name: taken_over(store, name), 10.0)
            assert time.monotonic() - began < 10
        await until(lambda: len(receiver.sequences()) == 3000, 60.0)
    finally:
        for pusher in pushers:
            await pusher.end(signal.SIGTERM)
        await bus.stop()
    assert await log_length(store) == 3000
    assert [found.sequence for found in await logged(store)] == list(range(1, 3001))
    await store.stop()
    for subject in range(SUBJECTS):
        found = receiver.sequences(f"i{subject}")
        assert found == sorted(found)


def a_history(identity, kind):
    attempt = Attempt(
        event_id="e1",
        sequence=1,
        kind=kind,
        attempt=1,
        at=AT,
        milliseconds=1,
        outcome=Outcome.DELIVERED,
    )
    return HistoryDocument(id=identity, attempts=(attempt,))


async def test_who_was_succeeded_writes_no_history_any_more(own_store):
    deposed, successor = EndpointStore(own_store, 1), EndpointStore(own_store, 2)
    await deposed.take_history("w1")
    await deposed.save_histories([a_history("w1", "first")])
    [known] = (await successor.take_history("w1")).attempts
    assert known.kind == "first"
    await deposed.save_histories([a_history("w1", "late")])
    assert (await successor.take_history("w1")).attempts == (known,)
    with pytest.raises(Conflict):
        await deposed.take_history("w1")
    await successor.save_histories([a_history("w1", "second")])
    [stored] = await own_store.find(DELIVERIES, HistoryDocument, {})
    assert [attempt.kind for attempt in stored.attempts] == ["second"]


async def test_the_history_of_a_webhook_that_is_gone_is_not_written_again(own_store):
    states = EndpointStore(own_store, 1)
    await states.take_history("w1")
    await states.remove("w1")
    await states.save_histories([a_history("w1", "late")])
    assert await own_store.find(DELIVERIES, HistoryDocument, {}) == []
