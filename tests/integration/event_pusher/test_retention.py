"""The event log is kept by age and by number, and its sequence never starts anew."""

from datetime import timedelta

from chassis.clock import SystemClock
from chassis.lease import Lease
from event_pusher.event_log import EventLog
from event_pusher.retention import Retention
from event_pusher.store import EventStore
from tests.hooks import hooks_on
from tests.pushing import an_event, logged, many
from tests.waiting import until


async def a_log(store):
    lease = Lease(store, "event-pusher", "me", 0.0)
    assert await until(lease.acquire)
    log = EventLog(EventStore(store), lease)
    await log.start()
    return log


def aged(number, days):
    return an_event(number).__replace__(at=SystemClock().now() - timedelta(days=days))


async def kept(store, days=30.0, most=1000):
    log = await a_log(store)
    await Retention(log, EventStore(store), SystemClock(), days=days, most=most).sweep()
    return [document.sequence for document in await logged(store)]


async def test_what_is_too_old_goes_up_to_the_first_that_is_not(own_store):
    log = await a_log(own_store)
    await log.append([aged(1, 40), aged(2, 31), aged(3, 29), aged(4, 40), aged(5, 1)])
    assert await kept(own_store) == [3, 4, 5]


async def test_what_is_too_much_goes_oldest_first(own_store):
    log = await a_log(own_store)
    await log.append([aged(number, 1) for number in range(1, 51)])
    assert await kept(own_store, most=20) == list(range(31, 51))


async def test_the_newest_event_stays_and_the_sequence_goes_on(own_store):
    log = await a_log(own_store)
    await log.append([aged(1, 90), aged(2, 80)])
    assert await kept(own_store) == [2]
    again = await a_log(own_store)
    assert [document.sequence for document in await again.append([aged(3, 0)])] == [3]


async def test_an_empty_log_is_left_alone(own_store):
    assert await kept(own_store) == []


async def test_an_endpoint_that_is_too_far_behind_gets_what_is_left(
    memory_bus, own_store, receiver
):
    async with hooks_on(memory_bus, own_store) as hooks:
        made = await hooks.create(receiver, kinds=["VMStarted"], enabled=False)
        await hooks.happen(many(10))

        async def all_logged():
            return len(await logged(own_store)) >= 10

        await until(all_logged)
        assert receiver.events == []
        identity = made["id"]
    newest = (await logged(own_store))[-1].sequence
    await kept(own_store, days=100_000.0, most=3)
    async with hooks_on(memory_bus, own_store) as hooks:
        await hooks.change(identity, enabled=True)
        await until(lambda: receiver.sequences() == [newest - 2, newest - 1, newest])
