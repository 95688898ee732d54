"""How clients say who they are: rule 21, whose steps are the second number.

Without authentication every credential is ignored: see rule 20. More about sessions and keys is
in ``tests/integration/gateway/test_login.py``.
"""

import base64
from functools import partial

import pytest

from tests.clients.keys import caller_of
from tests.integration.gateway.cloud import TEMPLATE
from tests.integration.gateway.raw_http import Raw
from tests.tap import (
    ROOT_TOKEN,
    add_key,
    basic,
    bearer,
    go,
    hand,
    java,
    jq,
    private_key,
    public_text,
    root,
    rsa_key,
    session,
    shake,
)

STATUS = "/api/v1/status"
NEED = b'{"status":"FAIL","message":"Authentication Required"}\n'
BAD = {
    "none": {},
    "wrong token": basic("wrong-root-token"),
    "empty token": basic(""),
    "no session": bearer({"userName": "x", "token": "y", "sessionId": "z"}),
    "garbage": {"Authorization": "Bearer %%%"},
}


@pytest.fixture(scope="module")
async def key(stage):
    """A key called ci."""
    return await add_key(stage.guarded, "ci")


@pytest.mark.parametrize("what", BAD)
async def test_who_is_unknown_is_told_so_in_the_documented_bytes(stage, what):
    answer = await stage.guarded("GET", STATUS, headers=BAD[what])
    assert (answer.code, answer.raw) == (401, NEED)


async def test_the_refusal_is_54_bytes_of_json(stage):
    raw = await Raw.open(stage.guarded)
    head, body = await raw.ask(f"GET {STATUS} HTTP/1.1\nHost: x")
    assert "content-length: 54" in head
    assert "content-type: application/json" in head
    assert body == NEED
    await raw.close()


@pytest.mark.parametrize("user", ["root", "", "anybody"])
async def test_the_root_token_is_a_password_of_whoever(stage, user):
    """The documented name, the empty one of GitHub Actions, and any other."""
    answer = await stage.guarded("GET", STATUS, headers=basic(ROOT_TOKEN, user))
    assert answer.body["status"] == "Running"


async def test_21_1_a_hand_is_open_to_all_and_answered_with_bare_base64(stage, key):
    answer = await stage.guarded("POST", "/tap/v1/hand", {"id": "ci"})
    assert answer.code == 200
    sealed = base64.b64decode(answer.raw, validate=True)
    assert len(sealed) == key.key_size // 8
    assert base64.b64encode(sealed) == answer.raw


async def test_21_2_a_secret_can_be_pasted_into_json(stage, key):
    secret = await hand(stage.guarded, "ci", key)
    assert len(secret) == 27
    assert set(secret).isdisjoint('"\\+/=')


async def test_21_2_a_secret_works_once(stage, key):
    secret = await hand(stage.guarded, "ci", key)
    assert (await shake(stage.guarded, "ci", secret)).code == 200
    assert (await shake(stage.guarded, "ci", secret)).raw == NEED


async def test_21_3_a_shake_is_answered_without_the_envelope(stage, key):
    secret = await hand(stage.guarded, "ci", key)
    answer = (await shake(stage.guarded, "ci", secret)).json
    assert answer.keys() == {"id", "data"}
    assert answer["data"].keys() == {"userName", "token", "sessionId"}
    assert all(isinstance(value, str) for value in answer["data"].values())


@pytest.mark.parametrize("write", [go, java, jq])
async def test_21_4_a_session_is_known_however_its_json_is_written(stage, key, write):
    data = await session(stage.guarded, "ci", key)
    assert (await stage.guarded("GET", STATUS, headers=bearer(data, write))).body


@pytest.mark.parametrize("spell", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["=", ""])
async def test_21_4_a_session_is_known_in_either_alphabet(stage, key, spell, padding):
    data = await session(stage.guarded, "ci", key)
    text = spell(jq(data)).decode().rstrip("=" if not padding else "")
    answer = await stage.guarded("GET", STATUS, headers={"Authorization": f"Bearer {text}"})
    assert answer.body["status"] == "Running"


async def test_21_5_sessions_stand_beside_each_other(stage, key):
    """Jenkins makes one for every request."""
    first = await session(stage.guarded, "ci", key)
    for _ in range(20):
        await session(stage.guarded, "ci", key)
    assert (await stage.guarded("GET", STATUS, headers=bearer(first))).body


async def test_21_5_a_secret_and_a_session_count_at_every_replica(stage, key):
    """``limited`` is another gateway on the same database."""
    secret = await hand(stage.guarded, "ci", key)
    data = (await shake(stage.limited, "ci", secret)).json["data"]
    assert (await stage.guarded("GET", STATUS, headers=bearer(data))).body


async def test_21_6_a_key_that_was_made_is_the_bare_line_that_clients_take(stage):
    wish = {"id": "made", "ttl": 60, "groups": []}
    line = (await root(stage.guarded)("POST", "/api/v1/apikey", wish)).body
    assert "\n" not in line
    assert await session(stage.guarded, "made", private_key(line))


@pytest.mark.parametrize("bits", [2048, 4096])
async def test_21_6_public_keys_of_either_size_are_taken(stage, bits):
    own = rsa_key(f"own-{bits}", bits)
    wish = {"id": f"own-{bits}", "ttl": 60, "groups": [], "publicKey": public_text(own)}
    assert (await root(stage.guarded)("POST", "/api/v1/apikey", wish)).body is None
    assert await session(stage.guarded, f"own-{bits}", own)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tap/v1/hand", {"id": "nobody"}),
        ("/tap/v1/hand", {}),
        ("/tap/v1/shake", {"id": "ci", "secret": "guessed"}),
    ],
)
async def test_21_7_a_failed_login_is_final_for_a_client(stage, key, path, body):
    """A 4xx with the envelope; of any other status Jenkins tries again."""
    answer = await stage.guarded("POST", path, body)
    assert 400 <= answer.code < 500
    assert answer.json["status"] == "FAIL"


async def test_a_key_may_do_what_its_groups_may_and_no_more(stage):
    call = await caller_of(stage, "may-start", "start_vm", "list_vms")
    assert (await call("POST", "/api/v1/vm", {"vmid": TEMPLATE})).body
    assert (await call("GET", "/api/v1/vm")).body
    refused = partial(call, "DELETE", "/api/v1/vm", {"id": "none"})
    assert (await refused()).code == 403


async def test_without_oidc_clients_are_told_that_there_is_none(stage):
    for gateway in (stage.api, stage.guarded):
        assert "oidc" not in (await gateway("GET", "/config/v1/auth")).body


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_ask_nobody(stage, path):
    assert (await stage.guarded("GET", path)).code == 200
