"""Resource permissions: what a permission group may do on which node."""

import pytest

from contracts.distributions import DistributionDocument
from contracts.instances import InstanceDocument
from contracts.nodes import CachedTemplate, NodeDocument, UsbDevice
from contracts.templates import RemoveTemplateFromNodes
from tests.integration.gateway.cloud import NODE, TEMPLATE, Api, Cloud
from tests.integration.gateway.guarded import ALL_ON, guarded
from tests.integration.gateway.test_permissions import ADMIN, OTHER_SPELLING, permit
from tests.tap import add_key, caller, root
from tests.waiting import until

SECOND = "3c101836-9540-4733-9482-604d0c5fbe30"
EVERYTHING = (
    "list_vms",
    "start_vm",
    "list_nodes",
    "delete_node",
    "change_node_config",
    "delete_template_from_nodes",
    "registry_distribute",
    "registry_distribute_status",
    "add_node_to_group",
    "create_group",
)


CACHED = CachedTemplate(id=TEMPLATE, name="base", tag="v1")


class Team:
    """A key of the group ``devops``, which may make every call, on the nodes it is granted."""

    def __init__(self, api: Api, call) -> None:
        self.api = api
        self.call = call

    async def grant(self, *permissions: str, node: str = SECOND) -> None:
        wish = [{"id": node, "type": "node", "permissions": permissions}]
        answer = await root(self.api)("POST", f"{ADMIN}/group/devops/resources", wish)
        assert answer.raw == b'{"status":"OK","message":"Saved"}'

    async def nodes(self) -> list[str]:
        return [node["node_id"] for node in (await self.call("GET", "/api/v1/node")).body]


@pytest.fixture
async def team(cloud: Cloud) -> Team:
    """Two nodes, and a team that is granted nothing yet."""
    api = await guarded(cloud, **ALL_ON)
    await cloud.add_node(SECOND)
    await until(lambda: _knows(api, SECOND))
    await permit(api, "devops", *EVERYTHING)
    return Team(api, await caller(api, "ci", await add_key(api, "ci", "devops")))


@pytest.mark.parametrize("base", [ADMIN, OTHER_SPELLING])
async def test_what_can_be_granted_is_answered_as_documented(cloud, base):
    api = await guarded(cloud, **ALL_ON)
    labels = {
        "change_config": "Change Node Configuration",
        "create_instance": "Create Instance",
        "delete_template": "Delete Template from Node",
        "distribute": "Distribute Template to Node",
        "force_upgrade": "Force Node Upgrade",
        "list": "List Node",
        "remove": "Remove Node",
    }
    permissions = {name: {"label": text, "description": text} for name, text in labels.items()}
    body = (await root(api)("GET", f"{base}/resources/permissions")).body
    assert body == [{"resource_type": "node", "permissions": permissions}]
    assert list(body[0]["permissions"]) == list(labels)


@pytest.mark.parametrize("base", [ADMIN, OTHER_SPELLING])
async def test_grants_are_replaced_as_a_whole(cloud, base):
    call = root(await guarded(cloud, **ALL_ON))
    path = f"{base}/group/devops/resources"
    assert (await call("GET", path)).body == []
    first = {"id": NODE, "id_type": "id", "type": "node", "permissions": ["list", "remove"]}
    second = {"id": SECOND, "id_type": "id", "type": "node", "permissions": ["list"]}
    assert (await call("POST", path, [first])).json == {"status": "OK", "message": "Saved"}
    assert (await call("GET", path)).body == [first]
    given = {name: value for name, value in second.items() if name != "id_type"}
    assert (await call("POST", path, [given])).json == {"status": "OK", "message": "Saved"}
    assert (await call("GET", path)).body == [second]


@pytest.mark.parametrize(
    ("wish", "code", "message"),
    [
        ({}, 400, "body: expected an array of JSON objects"),
        ([7], 400, "body: expected an array of JSON objects"),
        ([{"type": "node"}], 400, "[0].id: required field is missing"),
        ([{"id": "n", "type": "template"}], 200, "type: only node has permissions here"),
        (
            [{"id": "n", "type": "node", "permissions": ["fly"]}],
            200,
            "permissions: there is no permission fly",
        ),
    ],
)
async def test_grants_that_cannot_be_are_refused(cloud, wish, code, message):
    call = root(await guarded(cloud, **ALL_ON))
    answer = await call("POST", f"{ADMIN}/group/devops/resources", wish)
    assert (answer.code, answer.json["message"]) == (code, message)
    assert (await call("GET", f"{ADMIN}/group/devops/resources")).body == []


async def test_nodes_that_may_not_be_listed_do_not_exist(team):
    assert await team.nodes() == []
    await team.grant("list")
    assert await team.nodes() == [SECOND]
    assert (await team.call("GET", f"/api/v1/node?id={SECOND}")).body[0]["node_id"] == SECOND
    assert (await team.call("GET", f"/api/v1/node?id={NODE}")).failure == "Not found"
    for path in ("/api/v1/node/config", "/api/v1/node"):
        verb = "POST" if path.endswith("config") else "DELETE"
        answer = await team.call(verb, path, {"node_id": NODE, "drain_mode": True})
        assert answer.failure.startswith("Not found")
    assert len((await root(team.api)("GET", "/api/v1/node")).body) == 2


async def test_a_node_is_changed_and_removed_by_whom_it_is_granted_to(team):
    await team.grant("list")
    wish = {"node_id": SECOND, "drain_mode": True}
    assert (await team.call("POST", "/api/v1/node/config", wish)).code == 403
    assert (await team.call("DELETE", "/api/v1/node", {"node_id": SECOND})).code == 403
    await team.grant("list", "change_config")
    assert (await team.call("POST", "/api/v1/node/config", wish)).body is None
    group = (await team.call("POST", "/api/v1/group", {"name": "g"})).body["id"]
    join = {"group_ids": [group], "node_ids": [SECOND]}
    assert (await team.call("POST", "/api/v1/node/group", join)).body is None
    join = {"group_ids": [group], "node_ids": [SECOND, NODE]}
    assert (await team.call("POST", "/api/v1/node/group", join)).failure.endswith(NODE)
    await team.grant("list", "remove")
    assert (await team.call("DELETE", "/api/v1/node", {"node_id": SECOND})).body is None


async def test_agents_are_upgraded_where_that_is_granted(team, cloud):
    await team.grant("list", "force_upgrade")
    assert (await team.call("PUT", "/api/v1/node/update")).body is None
    upgraded = await cloud.store.find("nodes", NodeDocument, {"spec.upgrades": 1})
    assert [node.id for node in upgraded] == [SECOND]


async def test_a_start_names_a_permission_group_of_the_caller(team, cloud):
    await team.grant("list", "create_instance")
    start = {"vmid": TEMPLATE}
    answer = await team.call("POST", "/api/v1/vm", start)
    assert (answer.code, answer.json["message"]) == (400, "group: required field is missing")
    assert (await team.call("POST", "/api/v1/vm", start | {"group": "others"})).code == 403
    (identity,) = (await team.call("POST", "/api/v1/vm", start | {"group": "devops"})).body
    assert await _group_of(cloud, identity) == "devops"
    for wish, group in ((start, None), (start | {"group": "devops"}, "devops")):
        (identity,) = (await root(team.api)("POST", "/api/v1/vm", wish)).body
        assert await _group_of(cloud, identity) == group


async def test_a_start_on_a_node_needs_the_grant_of_its_group(team):
    start = {"vmid": TEMPLATE, "group": "devops", "node_id": SECOND}
    assert (await team.call("POST", "/api/v1/vm", start)).failure.startswith("Not found: node")
    await team.grant("list")
    assert (await team.call("POST", "/api/v1/vm", start)).code == 403
    await team.grant("list", "create_instance")
    assert (await team.call("POST", "/api/v1/vm", start)).body


async def test_a_distribution_reaches_the_nodes_it_may(team, cloud):
    wish = {"template_id": TEMPLATE, "group": "devops"}
    path = "/api/v1/registry/vm/distribute"
    assert (await team.call("POST", path, wish)).code == 403
    await team.grant("list", "distribute")
    assert (await team.call("POST", path, {"template_id": TEMPLATE})).code == 400
    identity = (await team.call("POST", path, wish)).body["request_id"]
    document = await cloud.store.get("distributions", DistributionDocument, identity)
    assert document is not None
    assert (document.spec.node_ids, document.spec.actor) == ((SECOND,), "ci")
    answer = await team.call("POST", path, wish | {"node_ids": [SECOND, NODE]})
    assert answer.failure == f"Not found: node {NODE}"


async def test_of_a_distribution_only_what_may_be_seen_is_shown_and_cancelled(team):
    path = "/api/v1/registry/vm/distribute"
    whole = (await root(team.api)("POST", path, {"template_id": TEMPLATE})).body["request_id"]
    await team.grant("list", "distribute")
    shown = (await team.call("GET", f"{path}?id={whole}")).body
    assert list(shown["distribute_status"]) == [SECOND]
    assert [list(d["distribute_status"]) for d in (await team.call("GET", path)).body] == [[SECOND]]
    assert (await team.call("DELETE", path, {"id": whole})).code == 403
    wish = {"template_id": TEMPLATE, "group": "devops"}
    own = (await team.call("POST", path, wish)).body["request_id"]
    assert (await team.call("DELETE", path, {"id": own})).json["status"] == "OK"


async def test_a_distribution_to_nobody_is_not_one_to_whoever_joins(team):
    path = "/api/v1/registry/vm/distribute"
    empty = (await root(team.api)("POST", "/api/v1/group", {"name": "empty"})).body["id"]
    await team.grant("list", "distribute")
    wish = {"template_id": TEMPLATE, "group_id": empty}
    assert (await team.call("POST", path, wish | {"group": "devops"})).code == 403
    roots = (await root(team.api)("POST", path, wish)).body["request_id"]
    assert (await team.call("DELETE", path, {"id": roots})).code == 403


async def test_what_hidden_nodes_have_to_offer_is_not_told(team, cloud):
    hidden, seen = "hidden", "seen"
    await cloud.add_node(hidden, usb_devices=(UsbDevice(claim="phone"),), vlans=("7",))
    await cloud.add_node(seen, usb_devices=(UsbDevice(claim="tablet"),), vlans=("8",))
    await until(lambda: _knows(team.api, seen))
    await team.grant("list", node=seen)
    assert list((await team.call("GET", "/api/v1/usb")).body) == ["tablet"]
    assert (await team.call("GET", "/api/v1/vlan")).body == ["8"]
    assert set((await root(team.api)("GET", "/api/v1/vlan")).body) == {"7", "8"}


async def test_a_template_leaves_the_nodes_it_may(team, cloud):
    path, wish = "/api/v1/registry/vm/remove", {"id": TEMPLATE}
    third, fourth = "third", "fourth"
    for node in (third, fourth):
        await cloud.add_node(node, templates=(CACHED,))
    assert (await team.call("DELETE", path, wish)).code == 403
    await team.grant("delete_template", node=third)
    assert (await team.call("DELETE", path, wish)).body["node_ids"] == [third]
    await until(lambda: cloud.said(RemoveTemplateFromNodes))
    (said,) = cloud.said(RemoveTemplateFromNodes)
    assert (said.node_ids, said.actor) == ((third,), "ci")


async def _knows(api: Api, node: str) -> bool:
    return (await root(api)("GET", f"/api/v1/node?id={node}")).json["status"] == "OK"


async def _group_of(cloud: Cloud, identity: str) -> str | None:
    document = await cloud.store.get("instances", InstanceDocument, identity)
    assert document is not None
    return document.spec.permission_group
