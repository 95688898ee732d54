"""The event log: every event once, numbered without holes, under one writer."""

import asyncio

import pytest

from chassis.errors import StoreDown
from chassis.lease import Lease
from event_pusher.event_log import EventLog, NotLeader
from event_pusher.store import EventStore
from tests.pushing import a_pusher, an_event, log_length, logged, many, publish, settings_for
from tests.waiting import until


class Forgetful(EventStore):
    """Loses the answer of the next commit, after or before it was applied."""

    def __init__(self, store, *, applied):
        super().__init__(store)
        self._applied = applied
        self._lose = True

    async def append(self, fence, documents):
        if self._lose:
            self._lose = False
            if self._applied:
                await super().append(fence, documents)
            raise StoreDown
        await super().append(fence, documents)


async def a_log(store, events=None, holder="me", ttl=60.0):
    lease = Lease(store, "event-pusher", holder, ttl)
    assert await until(lease.acquire)
    log = EventLog(events or EventStore(store), lease)
    await log.start()
    return log


async def numbers(store):
    return [(document.sequence, document.id) for document in await logged(store)]


async def test_what_the_bus_says_is_logged_in_order(memory_bus, own_store):
    async with a_pusher(settings_for(), memory_bus, own_store):
        await publish(memory_bus, many(300))
        await until(lambda: length_is(own_store, 300))
    assert await numbers(own_store) == [(number, f"e{number}") for number in range(1, 301)]


async def test_the_queue_keeps_what_is_said_while_no_pusher_runs(memory_bus, own_store):
    async with a_pusher(settings_for(), memory_bus, own_store):
        await publish(memory_bus, [an_event(1)])
        await until(lambda: length_is(own_store, 1))
    await publish(memory_bus, [an_event(2)])
    async with a_pusher(settings_for(), memory_bus, own_store):
        await until(lambda: length_is(own_store, 2))


async def length_is(store, length):
    return await log_length(store) == length


async def test_a_repeat_is_logged_once(own_store):
    log = await a_log(own_store)
    assert len(await log.append([an_event(1), an_event(2), an_event(1)])) == 2
    assert await log.append([an_event(2)]) == []
    await log.append([an_event(2), an_event(3)])
    assert await numbers(own_store) == [(1, "e1"), (2, "e2"), (3, "e3")]


async def test_a_repeat_is_recognised_after_a_restart(own_store):
    await (await a_log(own_store, ttl=0.0)).append([an_event(1), an_event(2)])
    again = await a_log(own_store)
    assert [found.id for found in await again.append([an_event(2), an_event(3)])] == ["e3"]
    assert await numbers(own_store) == [(1, "e1"), (2, "e2"), (3, "e3")]


@pytest.mark.parametrize("applied", [True, False])
async def test_a_commit_of_unknown_outcome_is_neither_lost_nor_doubled(own_store, applied):
    log = await a_log(own_store, Forgetful(own_store, applied=applied))
    with pytest.raises(StoreDown):
        await log.append([an_event(1), an_event(2)])
    await log.append([an_event(1), an_event(2), an_event(3)])
    assert await numbers(own_store) == [(1, "e1"), (2, "e2"), (3, "e3")]
    assert log.newest == 3


async def test_a_writer_that_lost_its_lease_writes_nothing(own_store):
    old = await a_log(own_store, holder="old", ttl=0.0)
    new = await a_log(own_store, holder="new")
    with pytest.raises(NotLeader):
        await old.append([an_event(1)])
    await new.append([an_event(2)])
    assert await numbers(own_store) == [(1, "e2")]


async def test_an_event_without_an_id_is_refused(own_store):
    log = await a_log(own_store)
    with pytest.raises(ValueError, match="without an id"):
        await log.append([an_event(1).__replace__(id="")])


async def test_two_writers_at_once_leave_one_order(own_store):
    logs = [await a_log(own_store, holder=f"h{number}", ttl=0.0) for number in range(3)]

    async def write(log, first):
        for number in range(first, first + 20):
            try:
                await log.append([an_event(number)])
            except NotLeader:
                return

    await asyncio.gather(*[write(log, 100 * n) for n, log in enumerate(logs)])
    sequences = [document.sequence for document in await logged(own_store)]
    assert sequences == list(range(1, 21))
