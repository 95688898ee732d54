"""Templates sent to nodes ahead of time."""

from datetime import UTC, datetime

import pytest

from chassis.bus.memory import MemoryBus
from contracts.distributions import (
    CancelDistribution,
    Distribute,
    DistributionDocument,
    NodePull,
)
from tests.integration.gateway.cloud import NODE, TEMPLATE, Api, Cloud
from tests.integration.gateway.documented import assert_like
from tests.integration.gateway.owners import move_distribution
from tests.waiting import until

DISTRIBUTE = "/api/v1/registry/vm/distribute"
WAITING = {"status": False, "progress": 0}


async def _distribute(api: Api, **fields) -> str:
    body = (await api("POST", DISTRIBUTE, {"template_id": TEMPLATE, **fields})).body
    return body["request_id"]


async def _show(api: Api, identity: str):
    return (await api("GET", f"{DISTRIBUTE}?id={identity}")).body


async def _stored(cloud: Cloud, identity: str) -> DistributionDocument:
    document = await cloud.store.get("distributions", DistributionDocument, identity)
    assert document is not None
    return document


async def test_distribute_answers_with_the_documented_request_id(api: Api):
    answer = await api("POST", DISTRIBUTE, {"template_id": TEMPLATE})
    documented = {
        "body": {"request_id": "74efc824-2fcb-4e07-5e7d-7f9cc98e0ee5"},
        "message": "",
        "status": "OK",
    }
    assert_like(documented, answer.json)


async def test_a_distribution_is_the_documented_one_from_the_first_moment(api: Api):
    identity = await _distribute(api)
    (listed,) = (await api("GET", DISTRIBUTE)).body
    shown = await _show(api, identity)
    assert listed == shown
    documented = {
        "time_requested": "2019-12-26T17:48:50.380949005+02:00",
        "template_id": TEMPLATE,
        "request_id": identity,
    }
    assert_like(documented, shown["request"])
    assert datetime.fromisoformat(shown["request"]["time_requested"]).tzinfo is not None
    assert shown["request"] == documented | {"time_requested": shown["request"]["time_requested"]}
    assert shown["distribute_status"] == {NODE: WAITING}


async def test_without_distributions_the_list_is_an_empty_array(api: Api):
    assert (await api("GET", DISTRIBUTE)).body == []


async def test_distributions_are_listed_oldest_first(api: Api):
    ids = [await _distribute(api) for _ in range(3)]
    listed = (await api("GET", DISTRIBUTE)).body
    assert [item["request"]["request_id"] for item in listed] == ids


async def test_the_registry_is_told_what_was_asked(api: Api, cloud: Cloud):
    identity = await _distribute(api, tag="v1", group="ci")
    (command,) = await until(lambda: cloud.said(Distribute))
    assert command.request_id == identity
    assert (command.template.tag, command.node_ids) == ("v1", (NODE,))
    document = await _stored(cloud, identity)
    assert document.pending
    assert document.spec.template == command.template
    assert document.spec.registry == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("wish", "tag"),
    [({}, "v2"), ({"tag": "v1"}, "v1"), ({"version": 0}, "v1"), ({"version": "1"}, "v2")],
)
async def test_a_distribution_means_the_tag_or_version_or_else_the_latest(
    api: Api, cloud: Cloud, wish, tag
):
    identity = await _distribute(api, **wish)
    assert (await _stored(cloud, identity)).spec.template.tag == tag


async def test_all_nodes_are_all_there_are_drained_and_offline_ones_too(api: Api, cloud: Cloud):
    await cloud.add_node("drained", drain=True)
    identity = await _distribute(api)
    await cloud.add_node("late")
    assert (await _show(api, identity))["distribute_status"] == {NODE: WAITING, "drained": WAITING}


async def test_chosen_nodes_are_only_those(api: Api, cloud: Cloud):
    await cloud.add_node("other")
    identity = await _distribute(api, node_ids=["other"])
    assert (await _show(api, identity))["distribute_status"] == {"other": WAITING}


async def test_a_group_is_the_nodes_in_it_as_of_the_last_change(api: Api, cloud: Cloud):
    await cloud.add_node("member")
    group = (await api("POST", "/api/v1/group", {"name": "ios"})).body["id"]
    await until(lambda: _exists(api, "member"))
    await api("POST", "/api/v1/node/group", {"group_ids": [group], "node_ids": ["member"]})
    identity = await _distribute(api, group_id=group)
    assert (await _show(api, identity))["distribute_status"] == {"member": WAITING}
    assert (await _stored(cloud, identity)).spec.group_id == group


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"tag": "v9"}, "No such tag v9"),
        ({"version": 9}, "No such version 9"),
        ({"node_ids": [NODE, "x"]}, "Not found: node x"),
        ({"group_id": "x"}, "Not found: group x"),
    ],
)
async def test_what_does_not_exist_is_named_and_nothing_is_distributed(api: Api, wish, message):
    answer = await api("POST", DISTRIBUTE, {"template_id": TEMPLATE, **wish})
    assert answer.failure == message
    assert (await api("GET", DISTRIBUTE)).body == []


async def test_an_unknown_template_is_not_in_the_registry(cloud: Cloud, registry):
    api = await cloud.gateway(registry_address=registry.address)
    answer = await api("POST", DISTRIBUTE, {"template_id": "nobody"})
    assert answer.failure == "VM not in the registry"


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_an_unknown_distribution_is_not_found(api: Api, verb):
    assert (await api(verb, f"{DISTRIBUTE}?id=x")).failure == "Not found"


@pytest.mark.parametrize(
    ("verb", "path", "body", "field"),
    [
        ("POST", DISTRIBUTE, {}, "template_id"),
        ("POST", DISTRIBUTE, b"x", "body"),
        ("POST", DISTRIBUTE, {"template_id": TEMPLATE, "version": "x"}, "version"),
        ("POST", DISTRIBUTE, {"template_id": TEMPLATE, "node_ids": []}, "node_ids"),
        ("POST", DISTRIBUTE, {"template_id": TEMPLATE, "group": 7}, "group"),
        ("DELETE", DISTRIBUTE, None, "id"),
    ],
)
async def test_a_malformed_request_is_400_naming_the_field(api: Api, verb, path, body, field):
    answer = await api(verb, path, body)
    assert answer.code == 400
    assert answer.json["message"].startswith(f"{field}: ")


async def test_progress_is_written_as_go_writes_it(api: Api, cloud: Cloud):
    identity = await _distribute(api, node_ids=[NODE])
    for pull, documented in (
        (NodePull(progress=0.42), '{"status":false,"progress":0.42}'),
        (NodePull(progress=1.0), '{"status":false,"progress":1}'),
        (NodePull(progress=1.0, done=True), '{"status":true,"progress":1}'),
        (
            NodePull(progress=0.04, error="no route to registry"),
            '{"status":false,"progress":0.04,"error":"no route to registry"}',
        ),
    ):
        await move_distribution(cloud.store, identity, nodes={NODE: pull})
        raw = (await api("GET", f"{DISTRIBUTE}?id={identity}")).raw.decode()
        assert f'"distribute_status":{{"{NODE}":{documented}}}' in raw


async def test_a_script_that_polls_its_node_sees_it_done(api: Api, cloud: Cloud):
    identity = await _distribute(api)
    assert (await _show(api, identity))["distribute_status"][NODE]["status"] is False
    done = {NODE: NodePull(progress=1.0, done=True)}
    await move_distribution(cloud.store, identity, nodes=done, finished=datetime.now(UTC))
    assert (await _show(api, identity))["distribute_status"][NODE]["status"] is True


async def test_cancel_shows_at_once_on_every_node_that_is_not_over(api: Api, cloud: Cloud):
    identity = await _distribute(api)
    pulls = {
        "done": NodePull(progress=1.0, done=True),
        "failed": NodePull(error="no disk"),
        "pulling": NodePull(progress=0.04),
    }
    await move_distribution(cloud.store, identity, nodes=pulls)
    for _ in range(2):
        answer = await api("DELETE", f"{DISTRIBUTE}?id={identity}")
        assert answer.json == {"status": "OK", "message": ""}
    assert (await _show(api, identity))["distribute_status"] == {
        "done": {"status": True, "progress": 1},
        "failed": {"status": False, "progress": 0, "error": "no disk"},
        "pulling": {"status": False, "progress": 0.04, "error": "request canceled"},
    }


async def test_a_cancel_is_one_wish_however_often_it_is_asked(api: Api, cloud: Cloud):
    identity = await _distribute(api)
    await move_distribution(cloud.store, identity)
    for _ in range(3):
        await api("DELETE", f"{DISTRIBUTE}?id={identity}")
    document = await _stored(cloud, identity)
    assert (document.generation, document.pending, document.spec.cancel) == (2, True, True)
    said = await until(lambda: cloud.said(CancelDistribution))
    assert [command.request_id for command in said] == [identity]


async def test_cancelling_what_has_ended_changes_nothing(api: Api, cloud: Cloud):
    identity = await _distribute(api)
    done = {NODE: NodePull(progress=1.0, done=True)}
    await move_distribution(cloud.store, identity, nodes=done, finished=datetime.now(UTC))
    before = await _stored(cloud, identity)
    assert (await api("DELETE", f"{DISTRIBUTE}?id={identity}")).json["status"] == "OK"
    assert await _stored(cloud, identity) == before


async def test_what_one_gateway_accepts_another_shows_and_cancels(
    api: Api, cloud: Cloud, system_bus: MemoryBus
):
    deaf = await cloud.gateway(system_bus)
    system_bus.cut()
    identity = await _distribute(deaf)
    assert await _show(api, identity) == await _show(deaf, identity)
    await api("DELETE", f"{DISTRIBUTE}?id={identity}")
    shown = (await _show(deaf, identity))["distribute_status"][NODE]
    assert shown["error"] == "request canceled"
    assert cloud.said(Distribute) == []


async def _exists(api: Api, node_id: str) -> bool:
    return (await api("GET", f"/api/v1/node?id={node_id}")).json["status"] == "OK"
