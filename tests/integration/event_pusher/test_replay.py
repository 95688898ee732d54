"""Past events once again: by id, by sequence, by time, and those that were given up."""

from datetime import timedelta

import pytest
from aiohttp import web

from tests.hooks import hooks_on
from tests.pushing import AT, a_pusher, an_event, many, settings_for
from tests.receiver import taken
from tests.waiting import until

ONLY = ["VMStarted"]


@pytest.fixture
async def made(hooks, receiver):
    """A webhook that has got forty events, an hour apart."""
    made = await hooks.create(receiver, kinds=ONLY)
    events = [
        event.__replace__(at=AT + timedelta(hours=n)) for n, event in enumerate(many(40), start=1)
    ]
    await hooks.happen(events)
    await until(lambda: len(receiver.sequences()) == 40)
    receiver.arrived.clear()
    receiver.requests.clear()
    return made


def ids(receiver):
    return [event["id"] for event in receiver.arrived]


async def done(hooks, made):
    return (await hooks.show(made["id"]))["replays"] == 0


async def test_one_event_comes_again_under_its_id(hooks, receiver, made):
    await hooks.replay(made["id"], event_id="e7")
    await until(lambda: ids(receiver) == ["e7"])
    assert receiver.requests[0].headers["webhook-id"] == "e7"

    async def shown():
        return [a for a in await hooks.deliveries(made["id"], event_id="e7") if a["replay"]]

    assert len(await until(shown)) == 1


async def test_a_range_of_sequences_comes_again_in_order_of_each_subject(hooks, receiver, made):
    first = receiver.events[9]["sequence"]
    chosen = await hooks.replay(made["id"], first=first, last=first + 19)
    assert (chosen["first"], chosen["last"]) == (first, first + 19)
    await until(lambda: len(receiver.arrived) == 20)
    assert sorted(receiver.sequences()) == list(range(first, first + 20))
    for subject in range(5):
        found = receiver.sequences(f"i{subject}")
        assert found == sorted(found)
    await until(lambda: done(hooks, made))


async def test_a_span_of_time_comes_again_end_excluded(hooks, receiver, made):
    since, until_ = (AT + timedelta(hours=n) for n in (10, 13))
    await hooks.replay(made["id"], since=since.isoformat(), until=until_.isoformat())
    await until(lambda: done(hooks, made))
    assert sorted(ids(receiver)) == ["e10", "e11", "e12"]


async def test_only_what_was_given_up_comes_again_and_only_once(hooks, receiver, made):
    async def answer(event):
        return await taken(event) if int(event["id"][1:]) % 2 else web.Response(status=400)

    receiver.answer = answer
    await hooks.happen(many(10, 10, first=41))

    async def given_up():
        return (await hooks.show(made["id"]))["given_up"] == 5

    await until(given_up)
    receiver.arrived.clear()
    receiver.answer = taken
    for _ in range(2):
        await hooks.replay(made["id"], failed=True)
        await until(lambda: done(hooks, made))
    assert sorted(ids(receiver)) == ["e42", "e44", "e46", "e48", "e50"]
    assert (await hooks.show(made["id"]))["given_up"] == 0


async def test_what_was_given_up_and_is_not_wished_any_more_stays_given_up(hooks, receiver, made):
    async def refuse(_event):
        return web.Response(status=400)

    async def given_up():
        return (await hooks.show(made["id"]))["given_up"]

    receiver.answer = refuse
    await hooks.happen(many(4, 4, first=41))

    async def all_given_up():
        return await given_up() == 4

    await until(all_given_up)
    receiver.arrived.clear()
    receiver.answer = taken
    await hooks.change(made["id"], kinds=["VMTerminated"])
    await hooks.replay(made["id"], failed=True)
    await until(lambda: done(hooks, made))
    assert (ids(receiver), await given_up()) == ([], 4)
    await hooks.change(made["id"], kinds=ONLY)
    await hooks.replay(made["id"], failed=True)
    await until(lambda: done(hooks, made))
    assert sorted(ids(receiver)) == ["e41", "e42", "e43", "e44"]
    assert await given_up() == 0


async def test_new_events_go_out_beside_a_long_replay(hooks, receiver, made):
    async def answer(event):
        return web.Response(status=500) if int(event["id"][1:]) <= 40 else await taken(event)

    receiver.answer = answer
    await hooks.replay(made["id"], first=1)
    await hooks.happen([an_event(41)])
    await until(lambda: ids(receiver) == ["e41"])


async def test_replays_wait_for_each_other(hooks, receiver, made):
    for number in (5, 6, 7):
        await hooks.replay(made["id"], event_id=f"e{number}")
    await until(lambda: len(receiver.arrived) == 3)
    assert ids(receiver) == ["e5", "e6", "e7"]


async def test_a_replay_goes_on_after_a_restart(memory_bus, own_store, receiver):
    async with hooks_on(memory_bus, own_store) as hooks:
        made = await hooks.create(receiver, kinds=ONLY)
        await hooks.happen(many(30))
        await until(lambda: len(receiver.sequences()) == 30)
        receiver.arrived.clear()
        await receiver.stop()
        await hooks.replay(made["id"], first=1)

        async def begun():
            found = await hooks.stored(made["id"])
            return found.status.replay is not None and found.status.replay.open

        await until(begun)
    await receiver.start()
    async with a_pusher(settings_for(), memory_bus, own_store):
        await until(lambda: len(receiver.sequences()) == 30)


async def test_what_is_not_in_the_log_cannot_be_replayed(hooks, made):
    body = {"id": made["id"], "event_id": "e999"}
    answer = await hooks.api.call("POST", "webhook/replay", body)
    assert answer == {"status": "FAIL", "message": "Not found: no such event in the log"}
