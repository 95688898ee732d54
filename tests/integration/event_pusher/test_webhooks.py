"""Webhooks made through the API: what arrives, whom it convinces, and what is kept of it."""

import json

import pytest
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from standardwebhooks import Webhook, WebhookVerificationError

from contracts.events import EventKind
from contracts.webhooks import EVENT_LOG, EndpointDocument
from tests.event_log import read_log
from tests.hooks import hooks_on
from tests.pushing import AT, a_pusher, an_event, many, publish, settings_for
from tests.receiver import taken
from tests.waiting import until


def verified(request, secret):
    return Webhook(secret).verify(request.body, request.headers)


async def test_standard_webhooks_verifies_what_arrives(hooks, receiver):
    made = await hooks.create(receiver, kinds=["VMStarted"])
    await hooks.happen([an_event(1)])
    await until(lambda: receiver.arrived)
    event = verified(receiver.requests[0], made["secret"])
    assert (event["name"], event["id"], event["state"]) == ("VMStarted", "e1", "Started")
    assert receiver.requests[0].headers["webhook-id"] == "e1"
    assert receiver.requests[0].headers["Content-Type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(
            receiver.requests[0].body + b" ", receiver.requests[0].headers
        )


async def test_cloudevents_reads_what_arrives_and_it_is_signed_too(hooks, receiver):
    made = await hooks.create(receiver, mode="cloudevents", kinds=["VMStarted"])
    await hooks.happen([an_event(1, "i7")])
    await until(lambda: receiver.arrived)
    request = receiver.requests[0]
    verified(request, made["secret"])
    event = from_structured_event(HTTPMessage(request.headers, request.body))
    assert (event.get_id(), event.get_type()) == ("e1", "corral.VMStarted")
    assert (event.get_subject(), event.get_time()) == ("i7", AT)
    assert event.get_source().startswith("/corral/")
    assert event.get_extension("sequence") == f"{event.get_data()['sequence']:016d}"
    assert event.get_data() == receiver.arrived[0]
    assert request.headers["Content-Type"] == "application/cloudevents+json"


async def test_while_a_key_is_rotated_both_verify_and_afterwards_the_new_one_only(hooks, receiver):
    made = await hooks.create(receiver, kinds=["VMStarted"])
    wish = {"id": made["id"], "overlap": 3600}
    rotated = await hooks.api.ok("POST", "webhook/rotate", wish)
    await hooks.observed(made["id"])
    assert rotated["rotating_until"] is not None
    await hooks.happen([an_event(1)])
    await until(lambda: receiver.arrived)
    for secret in (made["secret"], rotated["secret"]):
        verified(receiver.requests[0], secret)
    last = await hooks.api.ok("POST", "webhook/rotate", wish | {"overlap": 0})
    await hooks.observed(made["id"])
    await hooks.happen([an_event(2)])
    await until(lambda: len(receiver.arrived) == 2)
    verified(receiver.requests[1], last["secret"])
    with pytest.raises(WebhookVerificationError):
        verified(receiver.requests[1], rotated["secret"])


async def test_a_key_is_told_once_and_never_again(hooks, receiver):
    made = await hooks.create(receiver)
    assert made["secret"].startswith("whsec_")
    listed = await hooks.api.ok("GET", "webhook")
    shown = [await hooks.show(made["id"]), *listed]
    assert len(shown) == 2
    assert "whsec_" not in json.dumps(shown)


async def test_only_the_kinds_that_are_wished_arrive_and_the_cursor_moves_over_the_others(
    hooks, receiver
):
    made = await hooks.create(receiver, kinds=["VMTerminated"])
    events = many(40)
    chosen = events[19].__replace__(kind=EventKind.VM_TERMINATED)
    await hooks.happen([*events[:19], chosen, *events[20:]])
    await until(lambda: receiver.arrived)
    newest = (await read_log(hooks.store))[-1].sequence

    async def passed_over():
        shown = await hooks.show(made["id"])
        return (shown["cursor"], shown["pending"]) == (newest, 0)

    await until(passed_over)
    assert [event["id"] for event in receiver.events] == ["e20"]
    await hooks.change(made["id"], kinds=[])
    await hooks.happen([an_event(41)])
    await until(lambda: [event["id"] for event in receiver.arrived if "instance_id" in event][1:])
    assert receiver.arrived[-1]["id"] == "e41"


async def test_every_endpoint_gets_every_event_in_its_own_mode(hooks, receiver, other):
    await hooks.create(receiver)
    await hooks.create(other, mode="cloudevents", kinds=["VMStarted"])
    await hooks.happen(many(50))
    await until(lambda: len(other.sequences()) == 50 and len(receiver.sequences()) >= 50)
    assert set(other.sequences()) <= set(receiver.sequences())


async def test_a_test_arrives_signed_is_in_no_log_and_shows_in_the_deliveries(hooks, receiver):
    made = await hooks.create(receiver, enabled=False)
    sent = await hooks.api.ok("POST", "webhook/test", {"id": made["id"]})
    await until(lambda: receiver.arrived)
    event = verified(receiver.requests[0], made["secret"])
    assert (event["name"], event["id"]) == ("WebhookTest", sent["event_id"])

    async def shown():
        return await hooks.deliveries(made["id"], event_id=sent["event_id"])

    (attempt,) = await until(shown)
    assert (attempt["outcome"], attempt["status"], attempt["sequence"]) == ("delivered", 200, 0)
    assert EventKind.WEBHOOK_TEST not in {e.event.kind for e in await read_log(hooks.store)}


async def test_deliveries_tell_status_duration_answer_and_the_next_try(hooks, receiver):
    made = await hooks.create(receiver, kinds=["VMStarted"])

    async def answer(event):
        if len(receiver.events) < 2:
            return web.Response(status=500, text="the disk is full " * 100)
        return await taken(event)

    receiver.answer = answer
    await hooks.happen([an_event(1)])

    async def shown():
        found = await hooks.deliveries(made["id"])
        return found if len(found) == 2 else None

    second, first = await until(shown)
    assert (first["outcome"], first["status"], first["attempt"]) == ("failed", 500, 1)
    assert first["response"] == ("the disk is full " * 100)[:256]
    assert first["due"] is not None
    assert first["milliseconds"] >= 0
    assert (second["outcome"], second["attempt"], second["due"]) == ("delivered", 2, None)
    assert (second["event_id"], second["kind"], second["response"]) == ("e1", "VMStarted", "ok")
    assert await hooks.deliveries(made["id"], outcome="failed") == [first]


async def test_the_history_is_bounded(hooks, receiver):
    made = await hooks.create(receiver, kinds=["VMStarted"])
    await hooks.happen(many(300))
    await until(lambda: len(receiver.sequences()) == 300)

    async def shown():
        found = await hooks.deliveries(made["id"])
        return found if min((a["sequence"] for a in found), default=0) > 150 else None

    found = await until(shown)
    assert (len(found), {attempt["outcome"] for attempt in found}) == (100, {"delivered"})


async def test_making_changing_and_removing_are_events_with_their_ids(hooks, receiver, own_store):
    made = await hooks.create(receiver)
    await hooks.change(made["id"], description="ours")
    await hooks.api.ok("DELETE", "webhook", {"id": made["id"]})

    async def all_said():
        log = [entry.event for entry in await read_log(own_store)]
        kinds = [event.kind for event in log if event.subject == made["id"]]
        return kinds == ["WebhookCreated", "WebhookUpdated", "WebhookDeleted"]

    await until(all_said)


async def test_a_removed_webhook_is_gone_and_gets_nothing_more(hooks, receiver, other):
    made = await hooks.create(receiver)
    await hooks.create(other)
    await hooks.api.ok("DELETE", "webhook", {"id": made["id"]})
    answer = await hooks.api.call("GET", f"webhook?id={made['id']}")
    assert (answer["status"], answer["message"]) == ("FAIL", "Not found")

    async def is_gone():
        return await hooks.stored(made["id"]) is None

    await until(is_gone)
    await hooks.happen([an_event(1)])
    await until(lambda: [event for event in other.arrived if event["id"] == "e1"])
    assert [event for event in receiver.events if event["id"] == "e1"] == []


async def test_one_that_is_switched_off_by_its_owner_gets_later_what_it_missed(hooks, receiver):
    made = await hooks.create(receiver, kinds=["VMStarted"])
    await hooks.change(made["id"], enabled=False)
    assert (await hooks.show(made["id"]))["state"] == "Paused"
    await hooks.happen(many(20))
    await until(lambda: log_has(hooks.store, 20))
    assert receiver.events == []
    await hooks.change(made["id"], enabled=True)
    await until(lambda: len(receiver.sequences()) == 20)


async def log_has(store, count):
    return len(await read_log(store)) >= count


async def test_the_event_log_url_is_signed_when_it_has_a_key(memory_bus, own_store, receiver):
    secret = "whsec_" + "QUFB" * 10
    settings = settings_for(event_log_url=receiver.url, event_log_secret=secret)
    async with a_pusher(settings, memory_bus, own_store):
        await publish(memory_bus, [an_event(1)])
        await until(lambda: receiver.arrived)
    assert verified(receiver.requests[0], secret)["id"] == "e1"


async def test_the_record_of_an_older_version_can_be_tested_and_goes_on(
    memory_bus, own_store, receiver
):
    old = {"$set": {"status": {"cursor": 0, "epoch": 1}}}
    await own_store.change("endpoints", EndpointDocument, {"_id": EVENT_LOG}, old, upsert=True)
    async with hooks_on(memory_bus, own_store, event_log_url=receiver.url) as hooks:
        sent = await hooks.api.ok("POST", "webhook/test", {"id": EVENT_LOG})
        await until(lambda: [event["id"] for event in receiver.arrived] == [sent["event_id"]])
        await hooks.happen([an_event(1)])
        await until(lambda: receiver.arrived[-1]["id"] == "e1")


async def test_a_change_that_nobody_told_of_is_found(hooks, receiver, own_store):
    made = await hooks.create(receiver, kinds=["VMStarted"])
    silent = {"$set": {"spec.kinds": ["DeleteNode"]}, "$inc": {"generation": 1}}
    await own_store.change("endpoints", EndpointDocument, {"_id": made["id"]}, silent)
    await hooks.observed(made["id"])
    await hooks.happen([an_event(1), an_event(2).__replace__(kind=EventKind.DELETE_NODE)])
    await until(lambda: [event["id"] for event in receiver.arrived] == ["e2"])
