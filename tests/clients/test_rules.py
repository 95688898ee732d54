"""What follows from all public clients together, rule by rule, to be ticked off from the top.

Fields and their forms have a table of their own (``fields.py``), words that are compared stand in
``test_words.py``, and rule 21, of logins, in ``test_logins.py``.
"""

import asyncio
import json
from datetime import datetime

import pytest

from contracts.instances import InstanceState
from tests.clients.keys import caller_of
from tests.clients.samples import FAILURES, MALFORMED, SUCCESSES
from tests.clients.stage import ODD_TEMPLATE, SETTLED
from tests.integration.gateway.cloud import NODE, TEMPLATE
from tests.silent_server import silent_server
from tests.waiting import until

UNSET = {"group_id", "usb_device", "version", "name", "external_id", "metadata"}


@pytest.mark.parametrize("path", SUCCESSES)
async def test_1_success_is_an_envelope_with_a_body(api, path):
    assert (await api("GET", path)).json.keys() == {"status", "message", "body"}


@pytest.mark.parametrize(("verb", "path", "body"), [*FAILURES, *MALFORMED])
async def test_1_failure_is_an_envelope_without_a_body(api, verb, path, body):
    assert (await api(verb, path, body)).json.keys() == {"status", "message"}


async def test_2_whatever_was_accepted_is_200(api):
    created = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE})
    (identity,) = created.body
    group = await api("POST", "/api/v1/group", {"name": "accepted"})
    deleted = await api("DELETE", "/api/v1/vm", {"id": identity})
    assert [answer.code for answer in (created, group, deleted)] == [200, 200, 200]


@pytest.mark.parametrize(("verb", "path", "body"), FAILURES)
async def test_2_whatever_is_not_there_is_200_as_well(api, verb, path, body):
    assert (await api(verb, path, body)).code == 200


async def test_3_who_is_unknown_gets_401_and_who_may_not_403(stage):
    unknown = await stage.guarded("GET", "/api/v1/vm")
    known = await caller_of(stage, "may-nothing")
    refused = await known("GET", "/api/v1/vm")
    assert (unknown.code, refused.code, refused.json["status"]) == (401, 403, "FAIL")


async def test_3_paths_that_do_not_exist_are_404_and_saves_are_there(api):
    missing = await api("GET", "/api/v1/no-such-thing")
    assert (missing.code, missing.json["status"]) == (404, "FAIL")
    assert (await api("GET", "/api/v1/image")).code == 200


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/json; charset=latin-1",
        None,
    ],
)
async def test_4_a_body_is_json_whatever_its_content_type(api, kind):
    headers = {"Content-Type": kind} if kind else {}
    given = {"headers": headers, "skip_auto_headers": [] if kind else ["Content-Type"]}
    assert (await api("POST", "/api/v1/vm", {"vmid": TEMPLATE}, **given)).body


async def test_5_a_delete_is_about_what_its_body_names(api):
    ids = await api.start(count=2)
    assert (await api("DELETE", "/api/v1/vm", {"id": ids[1]})).body is None
    states = [(await api.vm(identity))["instance_state"] for identity in ids]
    assert states == ["Scheduling", "Terminating"]


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
async def test_6_bodies_may_be_latin_1(api, charset):
    body = json.dumps({"vmid": TEMPLATE, "name": "caf\u00e9"}, ensure_ascii=False)
    (identity,) = (await api("POST", "/api/v1/vm", body.encode(charset))).body
    assert (await api.vm(identity))["name"] == "caf\u00e9"


async def test_7_an_instance_is_wrapped_in_the_list_and_bare_by_its_id(stage):
    item = await stage.in_state(InstanceState.STARTED, external_id="job", name="n")
    identity = item["instance_id"]
    bare = await stage.api.vm(identity)
    assert item == {"instance_id": identity, "external_id": "job", "name": "n", "vm": bare}
    assert (bare["instance_id"], bare["external_id"]) == (identity, "job")


async def test_8_a_node_by_its_id_is_an_array_of_one_and_other_things_are_objects(stage):
    api = stage.api
    (node,) = (await api("GET", f"/api/v1/node?id={NODE}")).body
    assert node["node_id"] == NODE
    assert (await api("GET", f"/api/v1/registry/vm?id={TEMPLATE}")).body["versions"]
    instance = (await stage.in_state(InstanceState.STARTED))["instance_id"]
    wish = {"id": instance, "target_vm_id": TEMPLATE, "tag": "v9"}
    save = (await api("POST", "/api/v1/image", wish)).body["request_id"]
    assert (await api("GET", f"/api/v1/image?id={save}")).body["id"] == save
    pull = (await api("POST", "/api/v1/registry/vm/distribute", {"template_id": TEMPLATE})).body
    path = f"/api/v1/registry/vm/distribute?id={pull['request_id']}"
    assert type((await api("GET", path)).body) is dict


async def test_9_an_empty_list_is_an_array(api):
    for path in ("/api/v1/vm?name=none", "/api/v1/node?name=none", "/api/v1/registry/vm?name=none"):
        assert (await api("GET", path)).body == []


@pytest.mark.parametrize("state", InstanceState)
async def test_10_inside_an_instance_nothing_is_null_empty_or_made_up(stage, state):
    item = await stage.in_state(state)
    assert (item["external_id"], item["name"]) == (None, None)
    always_there = {"vlan", "anka_registry"}
    optional = {name: value for name, value in item["vm"].items() if name not in always_there}
    assert [name for name, value in optional.items() if value in (None, "", [], {})] == []
    assert UNSET.isdisjoint(item["vm"])


@pytest.mark.parametrize("progress", [0.0, 0.42, 1.0])
async def test_11_whole_numbers_have_no_fraction(stage, progress):
    (identity,) = await stage.api.start()
    changes = {"state": InstanceState.PULLING, "node_id": NODE, "progress": progress}
    await stage.cloud.move(identity, **changes)
    await stage.reaches(identity, "Pulling")
    raw = (await stage.api("GET", f"/api/v1/vm?id={identity}")).raw
    assert f'"progress":{progress:g},'.encode() in raw


async def test_12_never_is_a_date_of_the_year_one(stage):
    item = await stage.in_state(InstanceState.STARTED)
    assert item["vm"]["vminfo"]["stop_date"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("state", InstanceState)
async def test_13_an_element_of_the_list_was_created_before_it_changed(stage, state):
    vm = (await stage.in_state(state))["vm"]
    assert datetime.fromisoformat(vm["cr_time"]) <= datetime.fromisoformat(vm["ts"])


async def test_14_a_template_of_an_unknown_architecture_makes_instances_without_one(stage):
    (identity,) = await stage.api.start(vmid=ODD_TEMPLATE)
    assert "arch" not in await stage.api.vm(identity)


async def test_15_a_vm_whose_address_is_not_known_yet_has_an_empty_one(stage):
    vm = (await stage.in_state(InstanceState.STARTED, ip=""))["vm"]
    assert vm["vminfo"]["ip"] == ""


async def test_16_what_was_written_is_read_at_once_at_every_replica(stage):
    """Jenkins looks once more when it misses an id, and then takes it for lost."""
    gateways = (stage.api, stage.replica)
    for asked in gateways * 5:
        (identity,) = await asked.start()
        for gateway in gateways:
            assert identity in await gateway.listed()
            assert (await gateway.vm(identity))["instance_state"] == "Scheduling"


async def test_17_terminate_shows_at_once_and_then_what_became_of_it(stage):
    identity = (await stage.in_state(InstanceState.STARTED))["instance_id"]
    assert (await stage.api("DELETE", "/api/v1/vm", {"id": identity})).body is None
    assert (await stage.api.vm(identity))["instance_state"] == "Terminating"
    await stage.cloud.move(identity, state=InstanceState.TERMINATED)
    await stage.reaches(identity, "Terminated")
    await stage.cloud.remove(identity)
    await until(lambda: _is_gone(stage.api, identity))
    assert (await stage.api("DELETE", "/api/v1/vm", {"id": identity})).failure == "Not found"


async def test_18_a_start_may_be_scheduled_again_after_its_pull(stage):
    (identity,) = await stage.api.start()
    order = (InstanceState.PULLING, InstanceState.SCHEDULING, InstanceState.STARTED)
    for state in order:
        await stage.cloud.move(identity, state=state, **SETTLED[state])
        await stage.reaches(identity, state)


async def test_19_no_answer_waits_for_a_registry_that_never_answers(stage):
    """The most impatient client gives up after five seconds."""
    async with silent_server() as address:
        api = await stage.cloud.gateway(registry_address=address, registry_timeout=600.0)
        async with asyncio.timeout(5):
            for path in ("/api/v1/status", "/api/v1/vm", "/api/v1/node", "/api/v1/registry/vm"):
                assert (await api("GET", path)).json["status"] == "OK"
            assert await api.start()


@pytest.mark.parametrize(
    "credentials", ["Basic cm9vdDo=", "Basic OnRva2Vu", "Bearer x", "garbage \xe9"]
)
async def test_20_credentials_are_ignored_where_nobody_asks_for_them(api, credentials):
    assert (await api("GET", "/api/v1/status", headers={"Authorization": credentials})).body


@pytest.mark.parametrize("path", ["/api/v1/registry/disk", "/config/v1/auth"])
async def test_22_clients_find_what_the_page_does_not_list(api, path):
    assert (await api("GET", path)).code == 200


async def _is_gone(api, identity):
    return identity not in await api.listed()
