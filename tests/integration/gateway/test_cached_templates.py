"""Templates removed from the caches of nodes."""

import pytest

from api_gateway.documents import Unsaid
from chassis.bus.memory import MemoryBus
from chassis.bus.port import Delivery, Queue
from contracts.messages import tag_of
from contracts.nodes import CachedTemplate
from contracts.templates import RemoveTemplateFromNodes
from tests.integration.gateway.cloud import NODE, TEMPLATE, Api, Cloud
from tests.waiting import until

REMOVE = f"/api/v1/registry/vm/remove?id={TEMPLATE}"
CACHED = (CachedTemplate(id=TEMPLATE, name="base", tag="v1"),)


async def test_remove_asks_the_nodes_that_have_the_template(api: Api, cloud: Cloud):
    await cloud.add_node("n1", templates=CACHED)
    await cloud.add_node("n2", templates=CACHED)
    answer = await api("DELETE", REMOVE)
    assert answer.json == {
        "status": "OK",
        "message": "",
        "body": {"requests_sent": 2, "node_ids": ["n1", "n2"]},
    }
    (command,) = await until(lambda: cloud.said(RemoveTemplateFromNodes))
    assert (command.template_id, command.node_ids) == (TEMPLATE, ("n1", "n2"))


async def test_remove_from_chosen_nodes_leaves_out_those_without_the_template(
    api: Api, cloud: Cloud
):
    await cloud.add_node("n1", templates=CACHED)
    await cloud.add_node("n2", templates=CACHED)
    body = (await api("DELETE", REMOVE, {"node_ids": ["n2", NODE]})).body
    assert body == {"requests_sent": 1, "node_ids": ["n2"]}
    (command,) = await until(lambda: cloud.said(RemoveTemplateFromNodes))
    assert command.node_ids == ("n2",)


async def test_remove_names_a_node_that_does_not_exist_and_asks_none(api: Api, cloud: Cloud):
    await cloud.add_node("n1", templates=CACHED)
    answer = await api("DELETE", REMOVE, {"node_ids": ["n1", "x"]})
    assert answer.failure == "Not found: node x"
    await api("DELETE", REMOVE, headers={"X-Request-ID": "the next one"})
    command, *_ = await until(lambda: cloud.said(RemoveTemplateFromNodes))
    assert command.request_id == "the next one"


async def test_remove_of_what_no_node_has_asks_nobody(api: Api):
    assert (await api("DELETE", REMOVE)).body == {"requests_sent": 0, "node_ids": []}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/registry/vm/remove", None, "id"),
        (REMOVE, {"node_ids": NODE}, "node_ids"),
        (REMOVE, {"node_ids": []}, "node_ids"),
    ],
)
async def test_a_malformed_removal_is_400_naming_the_field(api: Api, path, body, field):
    answer = await api("DELETE", path, body)
    assert answer.code == 400
    assert answer.json["message"].startswith(f"{field}: ")


async def test_a_removal_accepted_without_a_bus_is_said_by_whoever_has_one(
    api: Api, cloud: Cloud, system_bus: MemoryBus
):
    await cloud.add_node("n1", templates=CACHED)
    deaf = await cloud.gateway(system_bus)
    system_bus.cut()
    assert (await deaf("DELETE", REMOVE)).body["requests_sent"] == 1
    await deaf.gateway.stop()
    assert cloud.said(RemoveTemplateFromNodes) == []
    await cloud.gateway(outbox_seconds=0.05)
    (command,) = await until(lambda: cloud.said(RemoveTemplateFromNodes))
    assert command.node_ids == ("n1",)


async def test_a_removal_waits_for_a_registry_that_was_never_there(
    cloud: Cloud, system_bus: MemoryBus
):
    await cloud.add_node("n1", templates=CACHED)
    alone = await cloud.gateway(system_bus, outbox_seconds=0.05)
    await alone("POST", "/api/v1/group", {"name": "ios"})
    assert (await alone("DELETE", REMOVE)).body["requests_sent"] == 1
    key = tag_of(RemoveTemplateFromNodes)
    await until(lambda: _unsaid_are(cloud, [key]))
    heard: list[Delivery] = []
    await system_bus.consume(Queue(name="registry", keys=(key,)), heard.append)
    await until(lambda: heard)
    await until(lambda: _unsaid_are(cloud, []))


async def _unsaid_are(cloud: Cloud, keys: list[str]) -> bool:
    return [each.said.key for each in await cloud.store.find("gateway_outbox", Unsaid, {})] == keys
