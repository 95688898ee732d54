"""Where a request goes, and what it is told when it goes nowhere."""

import pytest

from contracts.groups import GroupDocument
from contracts.nodes import CachedTemplate, CapacityMode, UsbDevice
from contracts.vms import Overrides
from tests.unit.scheduler.builders import TEMPLATE, Cloud, an_instance


@pytest.fixture
def cloud():
    return Cloud()


def start(cloud, **wish):
    [instance] = cloud.start(an_instance(**wish))
    return instance


def reasons(instance):
    return {r.filter: r.nodes for r in instance.status.reasons}


def test_a_node_with_the_tag_wins_over_an_emptier_one(cloud):
    cloud.join("cold", capacity=9, templates=())
    cloud.join("warm", capacity=1)
    assert start(cloud).status.node_id == "warm"


def test_one_pull_serves_all_that_fit_beside_it(cloud):
    cloud.join("a", capacity=2, templates=())
    cloud.join("b", capacity=2, templates=())
    nodes = [start(cloud).status.node_id for _ in range(3)]
    assert nodes[0] == nodes[1] != nodes[2]


def test_another_tag_of_the_template_is_warmer_than_none(cloud):
    other = CachedTemplate(id=TEMPLATE.id, name="base", tag="v0", digest="sha256:0")
    cloud.join("cold", capacity=9, templates=())
    cloud.join("luke", capacity=1, templates=(other,))
    assert start(cloud).status.node_id == "luke"


def test_equal_nodes_share_the_load(cloud):
    for name in "abc":
        cloud.join(name)
    assert {start(cloud).status.node_id for _ in range(3)} == set("abc")


def test_architectures_do_not_mix(cloud):
    cloud.join("arm", arch="arm64")
    instance = start(cloud)
    assert reasons(instance) == {"architecture": 1}
    cloud.join("intel")
    assert instance.status.node_id == "intel"


def test_a_pinned_start_waits_for_its_node(cloud):
    cloud.join("other")
    instance = start(cloud, node_id="mine")
    assert reasons(instance) == {"pinned": 0}
    cloud.join("mine")
    assert instance.status.node_id == "mine"


def test_a_full_group_falls_back_down_the_chain(cloud):
    for group, fallback in (("g1", "g2"), ("g2", "g3"), ("g3", "g1")):
        cloud.world.cluster.groups[group] = GroupDocument(
            id=group, name=group, fallback_group_id=fallback
        )
    cloud.join("first", groups=("g1",), capacity=1)
    cloud.join("third", groups=("g3",), capacity=1)
    cloud.join("outside", capacity=9)
    assert [start(cloud, group_id="g1").status.node_id for _ in range(2)] == ["first", "third"]
    assert "capacity" in reasons(start(cloud, group_id="g1"))


def test_resource_mode_counts_cpus_and_memory_with_overrides(cloud):
    cloud.join(
        "n",
        capacity_mode=CapacityMode.RESOURCE,
        vcpu_limit=8,
        ram_limit_gb=16,
        capabilities=("vcpu", "vram"),
    )
    big = Overrides(vcpu=4, vram=8192)
    assert [start(cloud, overrides=big).status.live for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("wish", "missing"),
    [
        ({"vcpu": 2}, "capability"),
        ({"usb_device": "phone"}, "capability"),
        ({"hw_uuid": "x"}, "capability"),
    ],
)
def test_a_driver_that_cannot_honour_an_override_is_passed_over(cloud, wish, missing):
    cloud.join("plain")
    instance = start(cloud, overrides=Overrides(**wish))
    assert missing in reasons(instance)


def test_a_busy_usb_device_is_waited_for(cloud):
    cloud.join(
        "n", capabilities=("usb_device",), usb_devices=(UsbDevice(claim="phone", busy=True),)
    )
    assert reasons(start(cloud, overrides=Overrides(usb_device="phone"))) == {"usb": 1}


def test_a_vlan_must_be_known_to_the_node(cloud):
    cloud.join("n", capabilities=("vlan_tag",), vlans=("12",))
    assert start(cloud, overrides=Overrides(vlan_tag="12")).status.live
    assert reasons(start(cloud, overrides=Overrides(vlan_tag="13"))) == {"vlan": 1}


def test_an_invalid_licence_takes_no_starts(cloud):
    cloud.join("n", license_valid=False)
    assert reasons(start(cloud)) == {"licence": 1}


def test_an_empty_cloud_says_so(cloud):
    assert [r.message for r in start(cloud).status.reasons] == ["no node has joined"]


def test_reasons_name_the_groups_that_were_tried(cloud):
    cloud.world.cluster.groups["ios"] = GroupDocument(id="ios", name="ios", fallback_group_id="mac")
    cloud.world.cluster.groups["mac"] = GroupDocument(id="mac", name="mac")
    cloud.join("full", capacity=0, groups=("ios",))
    cloud.join("drained", drain=True, groups=("mac",))
    cloud.join("outside")
    found = {r.filter: r.groups for r in start(cloud, group_id="ios").status.reasons}
    assert found == {"group": ("ios", "mac"), "capacity": ("ios",), "drain": ("mac",)}


def test_each_node_counts_once_over_the_whole_chain(cloud):
    cloud.world.cluster.groups["ios"] = GroupDocument(id="ios", name="ios", fallback_group_id="mac")
    cloud.world.cluster.groups["mac"] = GroupDocument(id="mac", name="mac")
    cloud.join("first", capacity=0, groups=("ios",))
    cloud.join("second", capacity=0, groups=("mac",))
    cloud.join("both", capacity=0, groups=("ios", "mac"))
    assert reasons(start(cloud, group_id="ios")) == {"capacity": 3}
    cloud.join("outside")
    assert reasons(start(cloud, group_id="ios")) == {"capacity": 3, "group": 1}


def test_without_a_wished_group_reasons_name_none(cloud):
    cloud.join("full", capacity=0, groups=("ios",))
    [reason] = start(cloud).status.reasons
    assert (reason.filter, reason.groups) == ("capacity", ())
