"""How answers look on the wire, beside what the checklist of clients has (``tests/clients``)."""

import gzip
import json

import pytest

from contracts.instances import InstanceState
from tests.integration.gateway.cloud import NODE, TEMPLATE, Api, Cloud
from tests.integration.gateway.raw_http import Raw
from tests.waiting import until

LISTS = (
    "/api/v1/vm",
    "/api/v1/node",
    "/api/v1/group",
    "/api/v1/registry/vm",
    "/api/v1/registry/vm/distribute",
    "/api/v1/image",
)


async def test_a_mutation_without_a_result_has_no_body(api: Api):
    (identity,) = await api.start()
    answer = await api("DELETE", "/api/v1/vm", {"id": identity})
    assert answer.json == {"status": "OK", "message": ""}


@pytest.mark.parametrize(
    ("verb", "path", "body", "message"),
    [
        ("POST", "/api/v1/vm", {"vmid": TEMPLATE, "tag": "v99"}, "No such tag v99"),
        ("POST", "/api/v1/vm", {"vmid": TEMPLATE, "version": 9}, "No such version 9"),
        ("POST", "/api/v1/vm", {"vmid": TEMPLATE, "node_id": "x"}, "Not found: node x"),
        ("POST", "/api/v1/vm", {"vmid": TEMPLATE, "group_id": "x"}, "Not found: group x"),
        ("GET", "/api/v1/vm?id=x", None, "Not found"),
        ("PUT", "/api/v1/vm?id=x", {"name": "y"}, "Not found"),
        ("PUT", "/api/v1/vm?id=x", {}, "Not found"),
        ("DELETE", "/api/v1/vm", {"id": "x"}, "Not found"),
        ("GET", "/api/v1/node?id=x", None, "Not found"),
        ("DELETE", "/api/v1/node", {"node_id": "x"}, "Not found"),
        ("POST", "/api/v1/node/config", {"node_id": "x", "drain_mode": True}, "Not found"),
        ("PUT", "/api/v1/group?id=x", {"name": "y"}, "Not found"),
        ("DELETE", "/api/v1/group?id=x", None, "Not found"),
    ],
)
async def test_a_logical_failure_is_200_with_fail_and_no_body(api: Api, verb, path, body, message):
    assert (await api(verb, path, body)).failure == message
    assert await api.listed() == {}


@pytest.mark.parametrize(
    ("verb", "path", "body", "field"),
    [
        ("POST", "/api/v1/vm", b'{"vmid": ', "body"),
        ("POST", "/api/v1/vm", b"[]", "body"),
        ("POST", "/api/v1/vm", {}, "vmid"),
        ("POST", "/api/v1/vm", {"vmid": TEMPLATE, "count": 0}, "count"),
        ("POST", "/api/v1/vm", {"vmid": TEMPLATE, "disk": {"size": "9"}}, "disk.size"),
        ("PUT", "/api/v1/vm", {"name": "x"}, "id"),
        ("PUT", "/api/v1/vm?id=x", {"name": 7}, "name"),
        ("DELETE", "/api/v1/vm", None, "id"),
        ("DELETE", "/api/v1/vm", {"id": 7}, "id"),
        ("POST", "/api/v1/rpc/vm/restart", {}, "instance_id"),
        ("POST", "/api/v1/node/config", {"drain_mode": True}, "node_id"),
        ("POST", "/api/v1/node/config", {"node_id": NODE, "max_vm_count": -1}, "max_vm_count"),
        ("POST", "/api/v1/node/config", {"node_id": NODE, "capacity_mode": "x"}, "capacity_mode"),
        ("DELETE", "/api/v1/node", {}, "node_id"),
        ("POST", "/api/v1/group", {"description": "x"}, "name"),
        ("PUT", "/api/v1/group", {"name": "x"}, "id"),
        ("POST", "/api/v1/node/group", {"node_ids": [NODE]}, "group_ids"),
        ("POST", "/api/v1/node/group", {"group_ids": ["g"], "node_ids": NODE}, "node_ids"),
    ],
)
async def test_a_malformed_request_is_400_naming_the_field(api: Api, verb, path, body, field):
    answer = await api(verb, path, body)
    assert answer.code == 400
    assert answer.json["status"] == "FAIL"
    assert answer.json["message"].startswith(f"{field}: ")
    assert "body" not in answer.json


async def test_an_unknown_path_is_404_with_the_envelope(api: Api):
    for path in ("/api/v1/nothing", "/", "/api/v1/vm/"):
        answer = await api("GET", path)
        assert (answer.code, answer.json["status"]) == (404, "FAIL")
    answer = await api("PATCH", "/api/v1/vm")
    assert (answer.code, answer.json["status"]) == (405, "FAIL")


async def test_empty_lists_are_arrays(cloud: Cloud):
    api = await cloud.gateway()
    for path in LISTS:
        assert (await api("GET", path)).body == []


@pytest.mark.parametrize("state", InstanceState)
async def test_states_are_the_documented_words(api: Api, cloud: Cloud, state):
    (identity,) = await api.start()
    await cloud.move(identity, state=state, progress=0.42, message="because")
    vm = await until(lambda: _in_state(api, identity, state.value))
    assert vm["progress"] == 0.42
    assert vm.get("message") == (None if state is InstanceState.SCHEDULING else "because")


async def test_connections_are_kept(api: Api):
    raw = await Raw.open(api)
    for _ in range(3):
        head, _ = await raw.ask("GET /api/v1/vm HTTP/1.1\nHost: x")
        assert head.startswith("http/1.1 200")
        assert "connection: close" not in head
    missing, _ = await raw.ask("GET /nothing HTTP/1.1\nHost: x")
    assert missing.startswith("http/1.1 404")
    await raw.ask("GET /api/v1/vm HTTP/1.1\nHost: x")
    await raw.close()


@pytest.mark.parametrize("body", [b"", json.dumps({"vmid": TEMPLATE}).encode()])
async def test_an_offer_of_http2_is_ignored(api: Api, body):
    raw = await Raw.open(api)
    verb = "POST" if body else "GET"
    offer = "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAEAAEAAAAIAAAAB"
    for _ in range(2):
        head, answer = await raw.ask(f"{verb} /api/v1/vm HTTP/1.1\nHost: x\n{offer}", body)
        assert head.startswith("http/1.1 200")
        assert json.loads(answer)["status"] == "OK"
    await raw.close()


async def test_answers_are_json_and_not_stored(api: Api):
    for path, code in (("/api/v1/vm", 200), ("/api/v1/none", 404)):
        answer = await api("GET", path)
        assert answer.code == code
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_head_answers_like_get_without_a_body(api: Api):
    answer = await api("HEAD", "/api/v1/status")
    assert (answer.code, answer.raw) == (200, b"")


async def test_a_body_too_large_is_413_and_says_so(cloud: Cloud):
    await cloud.add_template()
    api = await cloud.gateway(max_body=2000)
    answer = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE, "name": "x" * 3000})
    assert (answer.code, answer.json["status"]) == (413, "FAIL")
    assert "2000" in answer.json["message"]
    assert len(await api.start()) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_garbled_compressed_body_is_400(api: Api, encoding):
    headers = {"Content-Encoding": encoding}
    answer = await api("POST", "/api/v1/vm", b"\xffnot compressed", headers=headers)
    assert (answer.code, answer.json["status"]) == (400, "FAIL")


async def test_a_short_body_that_expands_is_still_too_large(api: Api):
    body = gzip.compress(b" " * 10_000_000)
    answer = await api("POST", "/api/v1/vm", body, headers={"Content-Encoding": "gzip"})
    assert (answer.code, answer.json["status"]) == (413, "FAIL")


async def test_the_probes_are_plain_and_open(api: Api):
    for path in ("/livez", "/readyz"):
        answer = await api("GET", path)
        assert (answer.code, answer.raw) == (200, b"ok\n")


async def test_every_answer_names_its_request(api: Api):
    answer = await api("GET", "/api/v1/vm", headers={"X-Request-ID": "mine"})
    assert answer.headers["X-Request-ID"] == "mine"
    assert (await api("GET", "/api/v1/vm")).headers["X-Request-ID"]


async def test_inflight_reqid_stays_the_start_request(api: Api):
    headers = {"X-Request-ID": "start-7"}
    (identity,) = (await api("POST", "/api/v1/vm", {"vmid": TEMPLATE}, headers=headers)).body
    await api("DELETE", "/api/v1/vm", {"id": identity}, headers={"X-Request-ID": "end-8"})
    assert (await api.vm(identity))["inflight_reqid"] == "start-7"


async def _in_state(api: Api, identity: str, state: str):
    vm = await api.vm(identity)
    return vm if vm["instance_state"] == state else None
