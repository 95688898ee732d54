"""Receivers that hang, refuse, are gone or must not be reached; others notice nothing of it."""

import asyncio
import time

import pytest
from aiohttp import web

from contracts.events import EventKind
from contracts.webhooks import EVENT_LOG
from tests.event_log import read_log
from tests.hooks import hooks_on
from tests.pushing import an_event, many
from tests.receiver import Receiver, taken
from tests.waiting import until

ONLY = ["VMStarted"]


def says(status, **headers):
    async def answer(_event):
        return web.Response(status=status, headers=headers)

    return answer


async def is_state(hooks, identity, state):
    return (await hooks.show(identity))["state"] == state


async def kinds_of(store, subject):
    return [e.event.kind for e in await read_log(store) if e.event.subject == subject]


async def test_an_endpoint_that_hangs_delays_nobody(hooks, receiver, other):
    over = asyncio.Event()

    async def hang(event):
        await over.wait()
        return await taken(event)

    receiver.answer = hang
    await hooks.create(receiver, kinds=ONLY)
    await hooks.create(other, kinds=ONLY)
    began = time.monotonic()
    await hooks.happen(many(500, 100))
    await until(lambda: len(other.sequences()) == 500)
    assert time.monotonic() - began < 5
    assert receiver.busiest == 64
    over.set()
    await until(lambda: len(receiver.sequences()) == 500)


async def test_410_switches_off_with_an_event_and_a_change_gives_another_chance(
    hooks, receiver, own_store
):
    receiver.answer = says(410)
    made = await hooks.create(receiver, kinds=ONLY)
    await hooks.happen([an_event(1)])
    await until(lambda: is_state(hooks, made["id"], "Disabled"))
    assert (await hooks.show(made["id"]))["disabled_cause"] == "gone"
    assert (await kinds_of(own_store, made["id"]))[-1] is EventKind.WEBHOOK_DISABLED
    count = len(receiver.events)
    await hooks.happen([an_event(2)])
    receiver.answer = taken
    await hooks.change(made["id"], description="repaired")
    await until(lambda: [event["id"] for event in receiver.arrived] == ["e1", "e2"])
    assert len(receiver.events) == count + 2
    assert await is_state(hooks, made["id"], "Active")


async def test_one_that_fails_for_days_is_switched_off_once(memory_bus, own_store, receiver):
    receiver.answer = says(500)
    settings = {
        "webhook_failing_days": 0.5 / 86_400,
        "delivery_patience": 3,
        "delivery_longest_pause": 0.1,
    }
    async with hooks_on(memory_bus, own_store, **settings) as hooks:
        made = await hooks.create(receiver, kinds=ONLY)
        await hooks.happen(many(10, 10))
        await until(lambda: is_state(hooks, made["id"], "Disabled"))
        assert (await hooks.show(made["id"]))["disabled_cause"] == "failing"
    async with hooks_on(memory_bus, own_store, **settings) as hooks:
        assert await is_state(hooks, made["id"], "Disabled")
        assert (await kinds_of(own_store, made["id"])).count(EventKind.WEBHOOK_DISABLED) == 1
        receiver.answer = taken
        await hooks.change(made["id"], enabled=True)
        await until(lambda: len(receiver.sequences()) == 10)


async def test_the_receiver_of_the_settings_is_never_switched_off(memory_bus, own_store, receiver):
    receiver.answer = says(410)
    async with hooks_on(memory_bus, own_store, event_log_url=receiver.url) as hooks:
        await hooks.happen([an_event(1)])
        await until(lambda: len(receiver.events) > 1)
        assert await is_state(hooks, EVENT_LOG, "Failing")
        receiver.answer = taken
        await until(lambda: receiver.arrived)


async def test_one_that_fails_all_the_time_is_tried_with_single_requests(
    memory_bus, own_store, receiver
):
    receiver.answer = says(503)
    settings = {"delivery_longest_pause": 60.0, "delivery_parallel": 4, "delivery_patience": 4}
    async with hooks_on(memory_bus, own_store, **settings) as hooks:
        made = await hooks.create(receiver, kinds=ONLY)
        await hooks.happen(many(200, 200))

        async def spared():
            return len(await hooks.deliveries(made["id"])) >= 4

        await until(spared)
        assert len(receiver.events) <= 6
        receiver.answer = taken
        await until(lambda: len(receiver.sequences()) == 200)


async def test_one_that_is_too_busy_is_left_alone_as_long_as_it_wishes(hooks, receiver):
    asked = []

    async def busy_at_first(event):
        asked.append(time.monotonic())
        if len(asked) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return await taken(event)

    receiver.answer = busy_at_first
    await hooks.create(receiver, kinds=ONLY)
    await hooks.happen([an_event(1, "a")])
    await until(lambda: asked)
    await hooks.happen([an_event(2, "b")])
    await until(lambda: len(receiver.arrived) == 2)
    assert asked[1] - asked[0] > 0.99  # clocks count milliseconds


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/events", "http://localhost:{port}/"])
async def test_addresses_that_are_not_permitted_are_never_connected_to(
    memory_bus, own_store, receiver, url
):
    port = receiver.url.rpartition(":")[2].partition("/")[0]
    async with hooks_on(memory_bus, own_store, webhook_networks="private") as hooks:
        given = {"url": url.format(port=port), "kinds": ONLY}
        made = await hooks.api.ok("POST", "webhook", given)
        await hooks.happen([an_event(1)])

        async def shown():
            return await hooks.deliveries(made["id"])

        attempt = (await until(shown))[-1]
    assert (attempt["status"], attempt["outcome"]) == (0, "failed")
    assert attempt["error"] == "The address is not one that webhooks may reach"
    assert receiver.events == []


async def test_a_redirect_into_the_network_is_not_followed(hooks, receiver, other):
    receiver.answer = says(307, Location=other.url)
    made = await hooks.create(receiver, kinds=ONLY)
    await hooks.happen([an_event(1)])

    async def given_up():
        return (await hooks.show(made["id"]))["given_up"] == 1

    await until(given_up)

    async def shown():
        return await hooks.deliveries(made["id"], outcome="given_up")

    (attempt,) = await until(shown)
    assert attempt["status"] == 307
    assert other.events == []


async def test_a_url_can_be_repaired_while_events_wait(hooks, other):
    dead = Receiver()
    await dead.start()
    await dead.stop()
    made = await hooks.create(dead, kinds=ONLY)
    await hooks.change(made["id"], enabled=False)
    await hooks.happen(many(20))
    await hooks.change(made["id"], url=other.url, enabled=True)
    await until(lambda: len(other.sequences()) == 20)
