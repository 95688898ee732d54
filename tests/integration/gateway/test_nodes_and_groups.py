import asyncio

from contracts.events import EventHappened
from contracts.groups import GroupChanged, GroupDocument, GroupRemoved
from contracts.nodes import CapacityMode, ConfigureNode, DeleteNode, NodeDocument
from tests.integration.gateway.cloud import NODE, Api, Cloud
from tests.waiting import until


async def _node(api: Api, identity: str = NODE):
    ((node),) = (await api("GET", f"/api/v1/node?id={identity}")).body
    return node


async def _group(api: Api, name: str, **fields) -> str:
    return (await api("POST", "/api/v1/group", {"name": name, **fields})).body["id"]


async def _stored_node(cloud: Cloud, identity: str = NODE) -> NodeDocument:
    found = await cloud.store.get("nodes", NodeDocument, identity)
    assert found is not None
    return found


async def test_configuration_shows_at_once_and_is_sent(api: Api, cloud: Cloud):
    wish = {
        "node_id": NODE,
        "max_vm_count": 6,
        "name": "MacPro1",
        "host": "mac.example",
        "capacity_mode": "resource",
        "vcpu_override": 12,
        "ram_override": 64,
        "drain_mode": True,
        "disable_central_logging": True,
    }
    assert (await api("POST", "/api/v1/node/config", wish)).body is None
    node = await _node(api)
    assert (node["capacity"], node["node_name"], node["ip_address"]) == (
        6,
        "MacPro1",
        "mac.example",
    )
    assert (node["capacity_mode"], node["vcpu_override"], node["ram_override"]) == (
        "resource",
        12,
        64,
    )
    assert node["state"] == "Drain Mode"
    await until(lambda: cloud.said(ConfigureNode))
    (said,) = cloud.said(ConfigureNode)
    stored = await _stored_node(cloud)
    assert said.spec == stored.spec
    assert (said.generation, stored.generation, stored.pending) == (2, 2, True)
    assert stored.spec.capacity_mode is CapacityMode.RESOURCE
    assert stored.spec.disable_central_logging is True


async def test_what_is_not_given_stays(api: Api):
    for wish in ({"max_vm_count": 6}, {"drain_mode": True}, {"drain_mode": False}, {}):
        await api("POST", "/api/v1/node/config", {"node_id": NODE, **wish})
    node = await _node(api)
    assert (node["capacity"], node["state"]) == (6, "Active")


async def test_a_deleted_node_is_gone_at_once(api: Api, cloud: Cloud):
    assert (await api("DELETE", "/api/v1/node", {"node_id": NODE})).body is None
    assert (await api("GET", "/api/v1/node")).body == []
    assert (await api("GET", f"/api/v1/node?id={NODE}")).failure == "Not found"
    assert (await api("DELETE", "/api/v1/node", {"node_id": NODE})).failure == "Not found"
    await until(lambda: cloud.said(DeleteNode))
    assert (await _stored_node(cloud)).spec.remove


async def test_a_group_looks_as_documented(api: Api, cloud: Cloud):
    made = (await api("POST", "/api/v1/group", {"name": "ios", "description": "best"})).body
    assert made == {
        "id": made["id"],
        "name": "ios",
        "description": "best",
        "fallback_group_id": None,
    }
    plain = (await api("POST", "/api/v1/group", {"name": "mac"})).body
    assert plain["description"] == ""
    assert sorted((await api("GET", "/api/v1/group")).body, key=lambda g: g["name"]) == [
        made,
        plain,
    ]


async def test_group_changes_are_announced_with_their_events(api: Api, cloud: Cloud):
    group_id = await _group(api, "ios")
    await api("PUT", f"/api/v1/group?id={group_id}", {"description": "new"})
    await api("DELETE", f"/api/v1/group?id={group_id}")
    await until(lambda: cloud.said(GroupRemoved))
    changes = [message.group for message in cloud.said(GroupChanged)]
    assert [(group.generation, group.description) for group in changes] == [(1, ""), (2, "new")]
    events = await until(lambda: len(cloud.said(EventHappened)) == 3 and cloud.said(EventHappened))
    assert [str(event.kind) for event in events] == ["GroupCreated", "GroupUpdated", "GroupDeleted"]
    assert await cloud.store.count("gateway_outbox", {}) == 0


async def test_what_the_bus_missed_is_said_when_it_is_back(cloud: Cloud):
    api = await cloud.gateway(outbox_seconds=0.05)
    cloud.bus.cut()
    await _group(api, "ios")
    assert await cloud.store.count("gateway_outbox", {}) == 2
    assert cloud.said(GroupChanged) == []
    cloud.bus.heal()
    await until(lambda: cloud.said(GroupChanged))
    await until(lambda: _outbox_is_empty(cloud))


async def test_fallbacks_may_not_lead_back(api: Api):
    first = await _group(api, "a")
    second = await _group(api, "b", fallback_group_id=first)
    third = await _group(api, "c", fallback_group_id=second)
    for fallback in (first, second, third):
        answer = await api("PUT", f"/api/v1/group?id={first}", {"fallback_group_id": fallback})
        assert answer.failure.startswith("fallback_group_id: ")
    unknown = await api("POST", "/api/v1/group", {"name": "d", "fallback_group_id": "x"})
    assert "x" in unknown.failure
    cleared = await api("PUT", f"/api/v1/group?id={third}", {"fallback_group_id": ""})
    assert cleared.body is None
    assert (
        await api("PUT", f"/api/v1/group?id={first}", {"fallback_group_id": third})
    ).body is None


async def test_two_replicas_cannot_close_a_cycle_together(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    first, second = await _group(api, "a"), await _group(api, "b")
    answers = await asyncio.gather(
        api("PUT", f"/api/v1/group?id={first}", {"fallback_group_id": second}),
        other("PUT", f"/api/v1/group?id={second}", {"fallback_group_id": first}),
    )
    assert sorted(answer.json["status"] for answer in answers) == ["FAIL", "OK"]


async def test_other_replicas_see_groups_within_seconds(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    group_id = await _group(api, "ios")
    await until(lambda: _sees(other, group_id))


async def test_every_node_joins_every_group(api: Api, cloud: Cloud):
    await cloud.add_node("second")
    await until(lambda: _knows_node(api, "second"))
    ids = {await _group(api, "ios"), await _group(api, "mac")}
    wish = {"group_ids": sorted(ids), "node_ids": [NODE, "second"]}
    assert (await api("POST", "/api/v1/node/group", wish)).body is None
    for identity in (NODE, "second"):
        assert {group["id"] for group in (await _node(api, identity))["groups"]} == ids
        assert (await _stored_node(cloud, identity)).pending
    await until(lambda: len(cloud.said(ConfigureNode)) == 2)
    one = min(ids)
    wish = {"group_ids": [one], "node_ids": [NODE]}
    assert (await api("DELETE", "/api/v1/node/group", wish)).body is None
    assert [group["id"] for group in (await _node(api))["groups"]] == sorted(ids)[1:]


async def test_joining_and_leaving_are_all_or_none(api: Api, cloud: Cloud):
    group_id = await _group(api, "ios")
    wish = {"group_ids": [group_id], "node_ids": [NODE, "gone"]}
    assert (await api("POST", "/api/v1/node/group", wish)).failure == "Not found: node gone"
    wish = {"group_ids": [group_id, "gone"], "node_ids": [NODE]}
    for verb in ("POST", "DELETE"):
        assert (await api(verb, "/api/v1/node/group", wish)).failure == "Not found: group gone"
    assert "groups" not in await _node(api)
    assert (await _stored_node(cloud)).generation == 1


async def test_a_deleted_group_leaves_its_nodes_and_those_that_fell_back(api: Api, cloud: Cloud):
    doomed = await _group(api, "doomed")
    kept = await _group(api, "kept", fallback_group_id=doomed)
    both = {"group_ids": [doomed, kept], "node_ids": [NODE]}
    assert (await api("POST", "/api/v1/node/group", both)).body is None
    assert (await api("DELETE", f"/api/v1/group?id={doomed}")).body is None
    (group,) = (await api("GET", "/api/v1/group")).body
    assert (group["id"], group["fallback_group_id"]) == (kept, None)
    assert [group["id"] for group in (await _node(api))["groups"]] == [kept]
    stored = await _stored_node(cloud)
    assert (stored.spec.groups, stored.pending) == ((kept,), True)
    rest = await cloud.store.get("groups", GroupDocument, kept)
    assert rest is not None
    assert rest.fallback_group_id is None


async def test_an_instance_keeps_its_group(api: Api):
    group_id = await _group(api, "ios")
    (identity,) = await api.start(group_id=group_id, node_id=NODE)
    assert (await api.vm(identity))["group_id"] == group_id


async def _outbox_is_empty(cloud: Cloud) -> bool:
    return await cloud.store.count("gateway_outbox", {}) == 0


async def _sees(api: Api, group_id: str) -> bool:
    return group_id in {group["id"] for group in (await api("GET", "/api/v1/group")).body}


async def _knows_node(api: Api, identity: str) -> bool:
    return identity in {node["node_id"] for node in (await api("GET", "/api/v1/node")).body}
