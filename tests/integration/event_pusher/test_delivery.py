"""Deliveries: at least once, in order per subject, whatever the receiver does."""

from aiohttp import web

from contracts.webhooks import EVENT_LOG, EndpointDocument
from event_pusher.store import ENDPOINTS
from tests.pushing import a_pusher, an_event, many, publish, settings_for
from tests.receiver import hangs, taken
from tests.waiting import until


async def test_every_event_arrives_in_order_of_its_subject(memory_bus, own_store, receiver):
    async with a_pusher(settings_for(event_log_url=receiver.url), memory_bus, own_store):
        await publish(memory_bus, many(500, 20))
        await until(lambda: len(receiver.sequences()) == 500)
    for subject in range(20):
        found = receiver.sequences(f"i{subject}")
        assert found == sorted(found)


async def test_no_url_means_no_delivery_and_no_state(memory_bus, own_store, receiver):
    async with a_pusher(settings_for(), memory_bus, own_store):
        await publish(memory_bus, many(3, 1))
    assert await own_store.count(ENDPOINTS, {}) == 0
    assert receiver.events == []


async def test_a_receiver_that_was_down_gets_everything_later(memory_bus, own_store, receiver):
    settings = settings_for(event_log_url=receiver.url)
    await receiver.stop()
    async with a_pusher(settings, memory_bus, own_store):
        await publish(memory_bus, many(100, 10))
        await until(lambda: failed_once(own_store))
        await receiver.start()
        await until(lambda: len(receiver.sequences()) == 100)
    for subject in range(10):
        found = receiver.sequences(f"i{subject}")
        assert found == sorted(found)


async def failed_once(store):
    found = await store.get(ENDPOINTS, EndpointDocument, EVENT_LOG)
    return found is not None and any(delivery.attempts for delivery in found.status.open)


async def test_one_event_that_always_fails_holds_up_its_subject_only(
    memory_bus, own_store, receiver
):
    async def answer(event):
        if event["id"] == "e1":
            return web.Response(status=500)
        return await taken(event)

    receiver.answer = answer
    settings = settings_for(event_log_url=receiver.url, delivery_window=50, retry_seconds=(60.0,))
    async with a_pusher(settings, memory_bus, own_store):
        await publish(memory_bus, [an_event(1, "bad"), an_event(2, "bad")])
        await publish(memory_bus, many(397, 7, first=3))
        await until(lambda: len(receiver.sequences()) == 397)
    assert receiver.sequences("bad") == []


async def test_an_event_is_given_up_after_the_last_retry_and_the_next_goes(
    memory_bus, own_store, receiver
):
    async def answer(event):
        return web.Response(status=500) if event["id"] == "e1" else await taken(event)

    receiver.answer = answer
    settings = settings_for(event_log_url=receiver.url, retry_seconds=(0.05, 0.05))
    async with a_pusher(settings, memory_bus, own_store):
        await publish(memory_bus, [an_event(1), an_event(2)])
        await until(lambda: receiver.sequences() == [2])
    assert [event["id"] for event in receiver.events] == ["e1", "e1", "e1", "e2"]


async def test_a_slow_receiver_is_cut_off_and_tried_again(memory_bus, own_store, receiver):
    receiver.answer = hangs(5)
    settings = settings_for(event_log_url=receiver.url, delivery_timeout=0.2)
    async with a_pusher(settings, memory_bus, own_store):
        await publish(memory_bus, [an_event(1)])
        await until(lambda: len(receiver.events) == 2)
        receiver.answer = taken
        await until(lambda: receiver.sequences() == [1])


async def test_redirects_are_failures_and_not_followed(memory_bus, own_store, receiver):
    async def answer(_event):
        return web.Response(status=302, headers={"Location": receiver.url + "?elsewhere"})

    receiver.answer = answer
    async with a_pusher(settings_for(event_log_url=receiver.url), memory_bus, own_store):
        await publish(memory_bus, [an_event(1)])
        await until(lambda: len(receiver.events) == 2)
        receiver.answer = taken
        await until(lambda: receiver.sequences() == [1])


async def test_retry_after_is_obeyed(memory_bus, own_store, receiver):
    async def answer(_event):
        return web.Response(status=503, headers={"Retry-After": "3600"})

    receiver.answer = answer
    async with a_pusher(settings_for(event_log_url=receiver.url), memory_bus, own_store):
        await publish(memory_bus, [an_event(1)])
        await until(lambda: failed_once(own_store))
        before = len(receiver.events)
    found = await own_store.get(ENDPOINTS, EndpointDocument, EVENT_LOG)
    (delivery,) = found.status.open
    assert before == 1
    assert (delivery.due - await own_store.now()).total_seconds() > 3500


async def test_retries_survive_a_restart(memory_bus, own_store, receiver):
    settings = settings_for(event_log_url=receiver.url, retry_seconds=(1.0, 1.0, 1.0, 1.0))
    await receiver.stop()
    async with a_pusher(settings, memory_bus, own_store):
        await publish(memory_bus, many(20, 4))
        await until(lambda: failed_once(own_store))
    await receiver.start()
    async with a_pusher(settings, memory_bus, own_store):
        await until(lambda: len(receiver.sequences()) == 20)
    for subject in range(4):
        found = receiver.sequences(f"i{subject}")
        assert found == sorted(found)


async def test_a_clean_restart_delivers_nothing_twice(memory_bus, own_store, receiver):
    settings = settings_for(event_log_url=receiver.url)
    for first in (1, 51, 101):
        async with a_pusher(settings, memory_bus, own_store):
            await publish(memory_bus, many(50, 200, first))
            await until(lambda end=first + 49: len(receiver.sequences()) == end)
    assert sorted(event["sequence"] for event in receiver.events) == list(range(1, 151))


async def test_requests_in_flight_are_bounded(memory_bus, own_store, receiver):
    receiver.answer = hangs(0.05)
    settings = settings_for(event_log_url=receiver.url, delivery_parallel=8)
    async with a_pusher(settings, memory_bus, own_store):
        await publish(memory_bus, many(64, 64))
        await until(lambda: len(receiver.sequences()) == 64)
    assert receiver.busiest == 8


async def test_events_logged_before_the_first_url_are_not_sent(memory_bus, own_store, receiver):
    async with a_pusher(settings_for(), memory_bus, own_store):
        await publish(memory_bus, [an_event(1)])
    async with a_pusher(settings_for(event_log_url=receiver.url), memory_bus, own_store):
        await publish(memory_bus, [an_event(2)])
        await until(lambda: receiver.sequences() == [2])
