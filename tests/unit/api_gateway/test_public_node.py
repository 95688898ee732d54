import json
from typing import Any

import pytest

from api_gateway.domain.occupancy import Occupied
from api_gateway.public import nodes
from contracts.groups import GroupDocument
from contracts.nodes import CachedTemplate, NodeSpec, NodeState, NodeUsage, UsbDevice
from tests.unit.api_gateway.documents import node_spec, node_status

USED = Occupied(vms=1, vcpu=4, vram_mb=4096)
GROUPS = {
    "g": GroupDocument(id="g", name="ios"),
    "h": GroupDocument(id="h", name="mac", description="all", fallback_group_id="g"),
}


def shown(spec: NodeSpec | None = None, **status: Any) -> dict[str, Any]:
    return json.loads(nodes.node("n", spec or node_spec(), node_status(**status), GROUPS, USED))


def test_every_documented_field_is_there():
    node = shown(groups=("g",))
    assert set(node) == {
        "node_id",
        "node_name",
        "cpu_count",
        "ram",
        "vm_count",
        "vcpu_count",
        "vram",
        "cpu_util",
        "ram_util",
        "ip_address",
        "state",
        "capacity",
        "groups",
        "anka_version",
        "usb_devices",
        "capacity_mode",
        "vcpu_override",
        "ram_override",
        "disk_size",
        "free_disk_space",
        "anka_disk_usage",
        "host_arch",
        "templates",
        "last_updated",
        "timestamp",
        "agent_version",
    }
    assert (node["vm_count"], node["vcpu_count"], node["vram"]) == (1, 4, 4096)
    assert node["usb_devices"] is None
    assert node["timestamp"] == 1935655200
    assert node["capacity_mode"] == "number"


def test_what_operators_set_wins_over_what_the_agent_said():
    spec = node_spec(
        name="MacPro1", host="mac.example", capacity=6, capacity_mode="resource", vcpu_limit=12
    )
    node = shown(spec)
    assert (node["node_name"], node["ip_address"]) == ("MacPro1", "mac.example")
    assert (node["capacity"], node["capacity_mode"], node["vcpu_override"]) == (6, "resource", 12)


def test_groups_are_the_spec_else_the_status_without_unknown_ones():
    assert [group["id"] for group in shown(groups=("g", "gone"))["groups"]] == ["g"]
    node = shown(node_spec(groups=("h",)), groups=("g",))
    assert node["groups"] == [
        {"id": "h", "name": "mac", "description": "all", "fallback_group_id": "g"}
    ]
    assert "groups" not in shown(node_spec(groups=()), groups=("g",))


@pytest.mark.parametrize(
    ("state", "wish", "fact", "expected"),
    [
        (NodeState.ACTIVE, None, False, "Active"),
        (NodeState.ACTIVE, True, False, "Drain Mode"),
        (NodeState.DRAIN, False, True, "Active"),
        (NodeState.ACTIVE, None, True, "Drain Mode"),
        (NodeState.OFFLINE, True, False, "Offline"),
        (NodeState.INVALID_LICENSE, True, False, "Inactive (Invalid License)"),
    ],
)
def test_a_change_of_drain_mode_shows_at_once(state, wish, fact, expected):
    node = shown(node_spec(drain=wish), state=state, facts={"drain": fact})
    assert node["state"] == expected


@pytest.mark.parametrize(
    ("arch", "expected"),
    [("arm64", "arm64"), ("aarch64", "arm64"), ("x86_64", "amd64"), ("", "amd64")],
)
def test_the_architecture_is_always_one_of_two_words(arch, expected):
    assert shown(facts={"arch": arch})["host_arch"] == expected


def test_whole_shares_have_no_fraction():
    status = node_status(usage=NodeUsage(cpu_util=0.0, ram_util=0.25))
    raw = nodes.node("n", node_spec(), status, {}, USED)
    assert b'"cpu_util":0,"ram_util":0.25,' in raw


def test_a_node_always_has_a_name():
    assert shown(facts={"name": ""})["node_name"] == "n"


def test_templates_and_usb_devices_are_listed():
    facts = {
        "templates": (CachedTemplate(id="t", name="base", tag="v7"),),
        "usb_devices": (UsbDevice(claim="iphones", busy=True),),
    }
    node = shown(facts=facts)
    assert node["templates"] == [{"uuid": "t", "name": "base", "tag": "v7"}]
    assert node["usb_devices"] == [{"claim_name": "iphones", "is_busy": True}]
