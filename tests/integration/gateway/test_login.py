"""Root token, and login by key as the public clients do it, byte by byte."""

import base64
from datetime import UTC, datetime

import pytest

from api_gateway.auth.permissions import NEEDS, OPEN
from chassis.store.mongo import MongoStore
from contracts.events import EventHappened
from contracts.identity import LoginDocument
from contracts.instances import InstanceDocument
from tests.clock import ManualClock
from tests.integration.gateway.cloud import Cloud
from tests.integration.gateway.guarded import ALL_ON, KEYS_ON, guarded
from tests.integration.gateway.raw_http import Raw
from tests.tap import (
    ROOT_TOKEN,
    add_key,
    basic,
    bearer,
    caller,
    go,
    hand,
    java,
    jq,
    private_key,
    root,
    session,
    shake,
)
from tests.waiting import until

NEED = b'{"status":"FAIL","message":"Authentication Required"}\n'
STATUS = "/api/v1/status"


@pytest.fixture
def later() -> ManualClock:
    """A clock ahead of the database's, which removes what is past by its own."""
    return ManualClock(datetime(2040, 1, 1, tzinfo=UTC))


async def test_without_authentication_every_header_is_ignored(api):
    for headers in ({}, basic(""), basic("nonsense"), {"Authorization": "Bearer %%%"}):
        assert (await api("GET", STATUS, headers=headers)).body["status"] == "Running"
    assert (await api("GET", "/config/v1/auth")).body == {}
    for path in ("/tap/v1/hand", "/api/v1/apikey", "/admin/api/v1/permission"):
        assert (await api("POST", path, {})).code == 404


async def test_every_route_asks_who_calls_but_those_that_are_open(cloud):
    api = await guarded(cloud, **ALL_ON)
    for path, verbs in NEEDS.items():
        for verb, need in verbs.items():
            answer = await api(verb, path.replace("{name}", "any"), b"{}")
            if need == OPEN:
                assert answer.code in (200, 400), path
            else:
                assert (answer.code, answer.raw) == (401, NEED), (verb, path)
    assert (await api("GET", "/pkg/AnkaAgent.pkg")).raw == NEED
    assert (await root(api)("GET", "/pkg/AnkaAgent.pkg")).code == 404
    assert (await api("GET", "/livez")).code == 200
    assert (await api("GET", "/readyz")).code == 200


async def test_the_answer_to_nobody_has_the_documented_length(cloud):
    raw = await Raw.open(await guarded(cloud))
    head, body = await raw.ask(f"GET {STATUS} HTTP/1.1\nHost: x")
    assert head.startswith("http/1.1 401")
    assert "content-length: 54" in head
    assert "content-type: application/json" in head
    assert body == NEED
    await raw.close()


async def test_the_root_token_counts_whatever_the_user_is_called(cloud):
    api = await guarded(cloud)
    for user in ("root", "", "somebody"):
        assert (await api("GET", STATUS, headers=basic(ROOT_TOKEN, user))).body
    wrong = (ROOT_TOKEN[:-1], ROOT_TOKEN + "x", "", "root")
    for headers in (*map(basic, wrong), {"Authorization": "Basic"}, {"Authorization": "Basic &"}):
        assert (await api("GET", STATUS, headers=headers)).raw == NEED


@pytest.mark.parametrize("write", [go, java, jq])
async def test_a_client_logs_in_and_may_call(cloud, write):
    api = await guarded(cloud)
    key = await add_key(api, "ci")
    data = await session(api, "ci", key)
    assert data.keys() == {"userName", "token", "sessionId"}
    assert all(isinstance(value, str) for value in data.values())
    assert (await api("GET", STATUS, headers=bearer(data, write))).body
    odd = base64.urlsafe_b64encode(write(data)).decode().rstrip("=")
    assert (await api("GET", STATUS, headers={"Authorization": f"bearer {odd}"})).body


async def test_secrets_can_be_pasted_and_answers_are_bare(cloud):
    api = await guarded(cloud)
    key = await add_key(api, "ci")
    secrets = [await hand(api, "ci", key) for _ in range(20)]
    assert len(set(secrets)) == 20
    for secret in secrets:
        assert secret.isprintable()
        assert not set(secret) & {'"', "\\"}
        assert len(secret) == 27
    answer = await shake(api, "ci", secrets[0])
    assert answer.json.keys() == {"id", "data"}


async def test_a_made_key_logs_in_as_it_is_answered(cloud):
    api = await guarded(cloud)
    line = (await root(api)("POST", "/api/v1/apikey", {"id": "x", "ttl": 60, "groups": []})).body
    assert "\n" not in line
    key = private_key(line)
    assert key.key_size == 2048
    assert (await (await caller(api, "x", key))("GET", STATUS)).body


async def test_a_secret_works_once_for_its_own_key(cloud):
    api = await guarded(cloud)
    key = await add_key(api, "ci")
    await add_key(api, "other")
    secret = await hand(api, "ci", key)
    assert (await shake(api, "other", secret)).code == 401
    assert (await shake(api, "ci", secret)).code == 200
    assert (await shake(api, "ci", secret)).raw == NEED
    assert (await shake(api, "ci", "guess")).raw == NEED
    assert (await api("POST", "/tap/v1/hand", {"id": "nobody"})).raw == NEED


async def test_a_session_is_compared_field_by_field(cloud):
    api = await guarded(cloud)
    data = await session(api, "ci", await add_key(api, "ci"))
    await add_key(api, "other")
    for wrong in (
        {"userName": "other"},
        {"token": data["token"][:-1]},
        {"token": ""},
        {"sessionId": "0f5ef4f1-7d4c-4d9c-8f8e-6e0f6f9c1b11"},
        {"token": 7},
    ):
        assert (await api("GET", STATUS, headers=bearer(data | wrong))).raw == NEED
    assert (await api("GET", STATUS, headers=bearer(data | {"more": "x"}))).body
    for text in (b"no json", b"[]", b"null", b"\xff\xfe"):
        value = base64.b64encode(text).decode()
        answer = await api("GET", STATUS, headers={"Authorization": f"Bearer {value}"})
        assert answer.raw == NEED


async def test_nothing_that_opens_is_stored(cloud):
    api = await guarded(cloud)
    key = await add_key(api, "ci")
    secret = await hand(api, "ci", key)
    data = (await shake(api, "ci", secret)).json["data"]
    (stored,) = await cloud.store.find("logins", LoginDocument, {})
    assert stored.token_sha256
    assert secret not in repr(stored)
    assert data["token"] not in repr(stored)


async def test_secrets_and_sessions_end(own_store: MongoStore, later):
    cloud = Cloud(own_store, later)
    await cloud.start()
    api = await guarded(cloud)
    key = await add_key(api, "ci")
    secret, data = await hand(api, "ci", key), await session(api, "ci", key)
    await later.advance(181)
    assert (await shake(api, "ci", secret)).raw == NEED
    assert (await api("GET", STATUS, headers=bearer(data))).body
    await later.advance(119)
    assert (await api("GET", STATUS, headers=bearer(data))).raw == NEED
    assert (await (await caller(api, "ci", key))("GET", STATUS)).body
    await later.advance(3600)
    assert (await api("POST", "/tap/v1/hand", {"id": "ci"})).raw == NEED
    await cloud.stop()


async def test_a_new_session_ends_no_older_one(cloud):
    api = await guarded(cloud, login_rate=10_000.0)
    key = await add_key(api, "ci")
    first = await session(api, "ci", key)
    for _ in range(50):
        await session(api, "ci", key)
    assert (await api("GET", STATUS, headers=bearer(first))).body


async def test_replicas_share_secrets_and_sessions(cloud):
    one = await guarded(cloud)
    two, three = [await cloud.gateway(**KEYS_ON) for _ in range(2)]
    key = await add_key(one, "ci")
    secret = await hand(two, "ci", key)
    data = (await shake(three, "ci", secret)).json["data"]
    for api in (one, two, three):
        assert (await api("GET", STATUS, headers=bearer(data))).body
    assert (await shake(one, "ci", secret)).raw == NEED


async def test_too_many_logins_from_one_address_are_put_off(own_store: MongoStore, later):
    cloud = Cloud(own_store, later)
    await cloud.start()
    api = await guarded(cloud, login_rate=10.0)
    key = await add_key(api, "ci")
    codes = [(await api("POST", "/tap/v1/hand", {"id": "nobody"})).code for _ in range(4)]
    assert codes == [401, 401, 429, 429]
    assert (await api("POST", "/tap/v1/hand", {"id": "ci"})).code == 429
    assert (await root(api)("GET", STATUS)).body
    await later.advance(1)
    await session(api, "ci", key)
    await cloud.stop()


async def test_who_asked_stands_in_wish_and_event(cloud):
    api = await guarded(cloud)
    by_key = await caller(api, "ci", await add_key(api, "ci"))
    wish = {"vmid": "6b135004-0c89-43bb-b892-74796b8d266c"}
    for call, name in ((by_key, "ci"), (root(api), "root")):
        (identity,) = (await call("POST", "/api/v1/vm", wish)).body
        document = await cloud.store.get("instances", InstanceDocument, identity)
        assert document is not None
        assert document.spec.actor == name
        await call("POST", "/api/v1/group", {"name": name})
    events = await until(lambda: len(cloud.said(EventHappened)) == 2 and cloud.said(EventHappened))
    assert [event.actor for event in events] == ["ci", "root"]
