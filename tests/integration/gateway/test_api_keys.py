"""Users' keys: made, changed and removed, and what that means for those who hold them."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs

from chassis.store.mongo import MongoStore
from tests.clock import ManualClock
from tests.integration.gateway.cloud import Api, Cloud
from tests.integration.gateway.documented import assert_like
from tests.integration.gateway.guarded import GROUPS_ON, KEYS_ON, guarded
from tests.tap import ROOT_TOKEN, add_key, bearer, caller, public_text, root, rsa_key, session
from tests.waiting import until

KEYS = "/api/v1/apikey"
STATUS = "/api/v1/status"


async def _keys(api: Api) -> dict[str, dict]:
    return {key["id"]: key for key in (await root(api)("GET", KEYS)).body}


async def test_keys_look_as_documented(cloud):
    api = await guarded(cloud)
    await add_key(api, "nathan", "testgroup", "testgroup2", ttl=86400)
    await add_key(api, "developer1", "testgroup")
    documented = {
        "id": "developer1",
        "groups": ["testgroup"],
        "expiration": "2021-09-21T14:35:08.823236-04:00",
        "created": "2021-09-20T14:35:08.823236-04:00",
    }
    first, second = (await root(api)("GET", KEYS)).body
    assert_like(documented, first)
    assert (first["id"], second["id"]) == ("developer1", "nathan")
    assert second["groups"] == ["testgroup", "testgroup2"]
    life = [datetime.fromisoformat(second[name]) for name in ("created", "expiration")]
    assert life[1] - life[0] == timedelta(days=1)
    assert (await root(api)("GET", f"{KEYS}?id=nathan")).body == [second]
    assert (await root(api)("GET", f"{KEYS}?id=gone")).failure == "Not found"


async def test_parameters_may_stand_in_the_query(cloud):
    api = await guarded(cloud)
    call = root(api)
    text = public_text(rsa_key())
    given = {"id": "q", "ttl": "60", "groups": "a,b", "publicKey": text}
    assert (await call("POST", KEYS, params=given)).raw == b'{"status":"OK","message":""}'
    assert (await _keys(api))["q"]["groups"] == ["a", "b"]
    assert (await call("PUT", KEYS, params={"id": "q", "groups": "c"})).body is None
    assert (await _keys(api))["q"]["groups"] == ["c"]
    assert (await call("DELETE", KEYS, params={"id": "q"})).body is None
    assert await _keys(api) == {}


async def test_a_key_can_be_as_long_as_openssl_makes_it(cloud):
    api = await guarded(cloud)
    key = rsa_key("long", 4096)
    wish = {"id": "long", "ttl": 60, "groups": [], "publicKey": public_text(key)}
    assert (await root(api)("POST", KEYS, wish)).body is None
    assert (await (await caller(api, "long", key))("GET", STATUS)).body


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, "id: required field is missing"),
        ({"ttl": None}, "ttl: required field is missing"),
        ({"groups": None}, "groups: required field is missing"),
        ({"ttl": 0}, "ttl: expected a whole number at least 1"),
        ({"ttl": "soon"}, "ttl: expected a whole number at least 1"),
        ({"groups": [7]}, "groups: expected an array of strings"),
        ({"publicKey": "bm8ga2V5"}, "publicKey: expected an RSA key"),
        ({"publicKey": "not base64"}, "publicKey: expected an RSA key"),
    ],
)
async def test_a_malformed_wish_is_told_which_field_it_is(cloud, changes, message):
    api = await guarded(cloud)
    wish = {"id": "x", "ttl": 60, "groups": [], "publicKey": public_text(rsa_key())} | changes
    answer = await root(api)("POST", KEYS, wish)
    assert (answer.code, answer.json["message"][: len(message)]) == (400, message)
    assert await _keys(api) == {}


async def test_only_keys_that_can_keep_a_secret_are_taken(cloud):
    api = await guarded(cloud)
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = curve.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for text in (base64.b64encode(der).decode(), public_text(rsa_key("short", 1024))):
        wish = {"id": "x", "ttl": 60, "groups": [], "publicKey": text}
        assert (await root(api)("POST", KEYS, wish)).code == 400


async def test_names_are_given_once_and_never_roots(cloud):
    api = await guarded(cloud)
    await add_key(api, "ci")
    wish = {"id": "ci", "ttl": 60, "groups": [], "publicKey": public_text(rsa_key())}
    assert (await root(api)("POST", KEYS, wish)).failure == "Exists already: key ci"
    assert (await root(api)("POST", KEYS, wish | {"id": "root"})).failure.startswith("id: ")
    for verb in ("PUT", "DELETE"):
        assert (await root(api)(verb, KEYS, {"id": "gone", "ttl": 5})).failure == "Not found"


async def test_a_deleted_key_is_dead_everywhere_within_two_seconds(cloud):
    one = await guarded(cloud)
    two = await cloud.gateway(**KEYS_ON)
    cloud.bus.cut()
    data = await session(one, "ci", await add_key(one, "ci"))
    for api in (one, two):
        assert (await api("GET", STATUS, headers=bearer(data))).body
    assert (await root(one)("DELETE", KEYS, {"id": "ci"})).body is None
    assert (await one("GET", STATUS, headers=bearer(data))).code == 401
    await until(lambda: _is_dead(two, data), limit=2.5)


async def test_a_deleted_key_is_dead_everywhere_at_once_while_the_bus_is_there(
    own_store: MongoStore,
):
    cloud = Cloud(own_store, ManualClock(datetime(2040, 1, 1, tzinfo=UTC)))
    await cloud.start()
    one = await guarded(cloud)
    two = await cloud.gateway(**KEYS_ON)
    data = await session(one, "ci", await add_key(one, "ci"))
    assert (await two("GET", STATUS, headers=bearer(data))).body
    await root(one)("DELETE", KEYS, {"id": "ci"})
    await until(lambda: _is_dead(two, data))
    await cloud.stop()


async def test_a_name_that_is_given_again_opens_nothing_of_the_old_key(cloud):
    api = await guarded(cloud)
    data = await session(api, "ci", await add_key(api, "ci"))
    await root(api)("DELETE", KEYS, {"id": "ci"})
    fresh = await session(api, "ci", await add_key(api, "ci"))
    assert (await api("GET", STATUS, headers=bearer(data))).code == 401
    assert (await api("GET", STATUS, headers=bearer(fresh))).body


async def test_new_groups_count_for_sessions_that_are_open(cloud):
    api = await guarded(cloud, **GROUPS_ON)
    wish = {"name": "admins", "permissions": ["get_api_key"]}
    await root(api)("POST", "/admin/api/v1/permission/group", wish)
    call = await caller(api, "ci", await add_key(api, "ci"))
    assert (await call("GET", KEYS)).code == 403
    await root(api)("PUT", KEYS, {"id": "ci", "groups": ["admins"]})
    assert (await call("GET", KEYS)).body
    await root(api)("PUT", KEYS, {"id": "ci", "groups": []})
    assert (await call("GET", KEYS)).code == 403


async def test_ttl_counts_from_now_and_expired_keys_are_cleaned_away(own_store: MongoStore):
    clock = ManualClock(datetime(2040, 1, 1, tzinfo=UTC))
    cloud = Cloud(own_store, clock)
    await cloud.start()
    api = await guarded(cloud, api_keys_cleaning_interval=20.0)
    await add_key(api, "short", ttl=10)
    await add_key(api, "long", ttl=10)
    await root(api)("PUT", KEYS, {"id": "long", "ttl": 8 * 3600})
    assert (await _keys(api))["long"]["expiration"] == "2040-01-01T08:00:00Z"
    await clock.advance(21)
    await until(lambda: _has(api, "long"))
    await cloud.stop()


async def test_keys_and_tokens_stay_out_of_the_logs(cloud):
    with capture_logs() as logs:
        api = await guarded(cloud)
        wish = {"id": "x", "ttl": 60, "groups": []}
        private = (await root(api)("POST", KEYS, wish)).body
        data = await session(api, "ci", await add_key(api, "ci"))
        await api("GET", STATUS, headers=bearer(data | {"token": "wrong"}))
        await api("GET", STATUS, headers=bearer(data))
    assert any(line["event"] == "access.written" and line["name"] == "ci" for line in logs)
    for secret in (private, data["token"], data["sessionId"], ROOT_TOKEN):
        assert secret not in repr(logs)


async def _is_dead(api: Api, data: dict) -> bool:
    return (await api("GET", STATUS, headers=bearer(data))).code == 401


async def _has(api: Api, *names: str) -> bool:
    return (await _keys(api)).keys() == set(names)
