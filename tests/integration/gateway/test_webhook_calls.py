"""Calls about webhooks and the event log: what is refused, what is stored, what is shown."""

import json
from datetime import timedelta

import pytest

from contracts.events import EventDocument, EventHappened, EventKind, EventType
from contracts.webhooks import EndpointChanged, EndpointDocument, EndpointStatus
from tests.integration.gateway.cloud import EPOCH
from tests.waiting import until

URL = "https://hooks.example/in"


@pytest.fixture
async def log(cloud):
    """Ten events: of two instances, kinds and types in turn, an hour apart."""
    events = [
        EventDocument(
            id=f"e{number}",
            sequence=number,
            event=EventHappened(
                id=f"e{number}",
                kind=EventKind.START_VM if number % 2 else EventKind.VM_STARTED,
                event_type=EventType.API if number % 2 else EventType.SYSTEM,
                sub_type="vmAction",
                subject=f"i{number % 3}",
                at=EPOCH + timedelta(hours=number),
                actor="ci",
            ),
        )
        for number in range(1, 11)
    ]
    await cloud.store.insert("events", events)


async def made(api, **given):
    return (await api("POST", "/api/v1/webhook", {"url": URL, **given})).body


async def stored(cloud, identity):
    return await cloud.store.get("endpoints", EndpointDocument, identity)


async def test_a_webhook_starts_at_the_end_of_the_log_and_is_announced(api, cloud, log):
    webhook = await made(api, kinds=["VMStarted"], description="ours")
    document = await stored(cloud, webhook["id"])
    assert (document.status.cursor, document.spec.kinds) == (10, ("VMStarted",))
    assert (webhook["state"], webhook["mode"], webhook["observed"]) == ("Active", "plain", False)
    await until(lambda: [e.kind for e in cloud.said(EventHappened)] == ["WebhookCreated"])
    (event,) = cloud.said(EventHappened)
    assert (event.subject, event.event_type) == (webhook["id"], EventType.API)


async def test_every_change_grows_the_generation_and_wakes_the_event_pusher(api, cloud):
    webhook = await made(api)
    query = f"/api/v1/webhook?id={webhook['id']}"
    assert (await api("PUT", query, {"mode": "cloudevents"})).body is None
    await api("POST", "/api/v1/webhook/test", {"id": webhook["id"]})
    document = await stored(cloud, webhook["id"])
    assert (document.generation, document.spec.revision, document.spec.pings) == (3, 2, 1)
    assert document.spec.url == URL
    await until(lambda: [m.generation for m in cloud.said(EndpointChanged)][-1:] == [3])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://a/b"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://a:0/"}, "url"),
        ({"url": "https://a:x/"}, "url"),
        ({"url": "https://[::1/"}, "url"),
        ({"url": "https://a/ b"}, "url"),
        ({"url": "https://a/\r\nX: y"}, "url"),
        ({"url": "https://a/#b"}, "url"),
        ({"url": "https://a/" + "b" * 3000}, "url"),
        ({"url": "https://ci:***@a/"}, "url"),
        ({"url": 5}, "url"),
        ({"url": URL, "kinds": ["Nothing"]}, "kinds"),
        ({"url": URL, "kinds": ["WebhookTest"]}, "kinds"),
        ({"url": URL, "kinds": "VMStarted"}, "kinds"),
        ({"url": URL, "mode": "xml"}, "mode"),
        ({"url": URL, "enabled": "no"}, "enabled"),
        ({"url": URL, "secret": "whsec_QUFB"}, "secret"),
        ({"url": URL, "secret": "QUFB" * 10}, "secret"),
        ({"url": URL, "description": "x" * 1001}, "description"),
    ],
)
async def test_what_is_no_webhook_is_refused_by_the_name_of_the_field(api, body, field):
    answer = await api("POST", "/api/v1/webhook", body)
    assert answer.code == 400
    assert answer.json["message"].startswith(f"{field}: ")


async def test_passwords_in_a_url_are_hidden_and_kept(api, cloud):
    webhook = await made(api, url="https://ci:p%40ss@hooks.example:8443/in")
    assert webhook["url"] == "https://ci:***@hooks.example:8443/in"
    document = await stored(cloud, webhook["id"])
    assert document.spec.url == "https://ci:p%40ss@hooks.example:8443/in"


async def test_a_key_may_be_brought_along(api):
    secret = "whsec_" + "QUFB" * 10
    assert (await made(api, secret=secret))["secret"] == secret


async def test_the_receiver_of_the_settings_is_shown_but_not_changed(api, cloud):
    document = EndpointDocument(id="event-log", status=EndpointStatus(cursor=3))
    await cloud.store.insert("endpoints", [document])
    ((shown),) = (await api("GET", "/api/v1/webhook")).body
    assert (shown["id"], shown["url"], shown["cursor"]) == ("event-log", "", 3)
    for verb in ("PUT", "DELETE"):
        answer = await api(verb, "/api/v1/webhook?id=event-log", {})
        assert "settings" in answer.failure
    sent = await api("POST", "/api/v1/webhook/test", {"id": "event-log"})
    assert sent.body["event_id"]


@pytest.mark.parametrize(
    ("chosen", "span"),
    [
        ({"event_id": "e4"}, (4, 4)),
        ({"first": 3}, (3, 10)),
        ({"last": 3}, (1, 3)),
        ({"first": 3, "last": 5}, (3, 5)),
        ({"since": "2031-05-04T13:00:00Z"}, (3, 10)),
        ({"since": "2031-05-04T13:00:00Z", "until": "2031-05-04T15:00:00Z"}, (3, 4)),
        ({"failed": True}, (1, 10)),
    ],
)
async def test_a_replay_is_chosen_in_one_of_four_ways(api, log, chosen, span):
    webhook = await made(api)
    body = {"id": webhook["id"], **chosen}
    answer = (await api("POST", "/api/v1/webhook/replay", body)).body
    assert (answer["number"], answer["first"], answer["last"]) == (1, *span)


@pytest.mark.parametrize("chosen", [{}, {"event_id": "e1", "failed": True}, {"since": "soon"}])
async def test_a_replay_of_nothing_or_of_two_things_is_refused(api, log, chosen):
    webhook = await made(api)
    body = {"id": webhook["id"], **chosen}
    assert (await api("POST", "/api/v1/webhook/replay", body)).code == 400


async def test_replays_that_wait_are_bounded(api, log):
    webhook = await made(api)
    body = {"id": webhook["id"], "event_id": "e1"}
    for number in range(1, 21):
        assert (await api("POST", "/api/v1/webhook/replay", body)).body["number"] == number
    answer = await api("POST", "/api/v1/webhook/replay", body)
    assert answer.failure == "20 replays are waiting already"


async def test_what_does_not_exist_is_not_found(api):
    calls = [
        ("GET", "/api/v1/webhook?id=x", None),
        ("PUT", "/api/v1/webhook?id=x", {}),
        ("DELETE", "/api/v1/webhook?id=x", None),
        ("POST", "/api/v1/webhook/rotate", {"id": "x"}),
        ("POST", "/api/v1/webhook/test", {"id": "x"}),
        ("POST", "/api/v1/webhook/replay", {"id": "x", "failed": True}),
        ("GET", "/api/v1/webhook/deliveries?id=x", None),
    ]
    for call in calls:
        assert (await api(*call)).failure == "Not found"


async def sequences(api, query=""):
    return [event["sequence"] for event in (await api("GET", f"/api/v1/event?{query}")).body]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("limit=3", [10, 9, 8]),
        ("limit=3&before=8", [7, 6, 5]),
        ("after=7", [8, 9, 10]),
        ("after=7&limit=1", [8]),
        ("order=asc&limit=2", [1, 2]),
        ("name=StartVM&limit=2", [9, 7]),
        ("name=StartVM,VMStarted&limit=2", [10, 9]),
        ("subject=i0", [9, 6, 3]),
        ("type=systemAction&subject=i0", [6]),
        ("since=2031-05-04T19:00:00Z", [10, 9]),
        ("until=2031-05-04T12:00:00Z", [1]),
        ("name=DeleteNode", []),
    ],
)
async def test_events_are_found_by_every_filter(api, log, query, found):
    assert await sequences(api, query) == found


async def test_an_event_has_its_documented_shape_and_ours(api, log):
    (event,) = (await api("GET", "/api/v1/event?limit=1")).body
    assert list(event) == sorted(event)
    assert (event["name"], event["type"], event["sub_type"]) == (
        "VMStarted",
        "systemAction",
        "vmAction",
    )
    assert (event["id"], event["sequence"], event["actor"]) == ("e10", 10, "ci")
    assert event["time"] == int((EPOCH + timedelta(hours=10)).timestamp())


async def lines(api, query=""):
    answer = await api("GET", f"/api/v1/event/export?{query}")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    raw = answer.raw
    assert raw.endswith(b"\n") or not raw
    return [json.loads(line) for line in raw.splitlines()]


async def test_an_export_has_an_event_per_line_oldest_first_beyond_one_page(api, cloud, log):
    (known,) = await cloud.store.find("events", EventDocument, {"_id": "e1"})
    more = [known.__replace__(id=f"e{n}", sequence=n) for n in range(11, 2502)]
    await cloud.store.insert("events", more)
    assert [event["sequence"] for event in await lines(api)] == list(range(1, 2502))
    assert [event["sequence"] for event in await lines(api, "after=2499")] == [2500, 2501]
    assert len(await lines(api, "limit=1500")) == 1500
    assert [event["id"] for event in await lines(api, "subject=i0")] == ["e3", "e6", "e9"]
    assert await lines(api, "name=DeleteNode") == []
    (first,) = await lines(api, "limit=1")
    assert (await api("GET", "/api/v1/event?order=asc&limit=1")).body == [first]


@pytest.mark.parametrize(
    "query",
    ["limit=x", "limit=1001", "name=Nothing", "type=x", "order=x", "since=soon", "after=-1"],
)
async def test_a_wrong_filter_is_refused_by_its_name(api, query):
    answer = await api("GET", f"/api/v1/event?{query}")
    assert answer.code == 400
    assert answer.json["message"].startswith(query.partition("=")[0])
