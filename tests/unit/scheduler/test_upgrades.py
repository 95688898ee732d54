"""Upgrades of agents: ordered once, and over in any case."""

import pytest

from contracts.nodes import (
    AgentNotUpgraded,
    ConfigureNode,
    NodeHello,
    NodeSpec,
    NodeState,
    NodeUsage,
    UpgradeAgent,
)
from tests.unit.scheduler.builders import Cloud, an_instance, some_facts


@pytest.fixture
def cloud():
    cloud = Cloud(offline=1000.0)
    cloud.join("n", agent_version="0.1.0")
    return cloud


def wish(cloud, generation=2, upgrades=1, version="0.2.0-abc"):
    spec = NodeSpec(upgrades=upgrades, upgrade_to=version, request_id="req")
    cloud.say(ConfigureNode(node_id="n", generation=generation, spec=spec))


def hello(cloud, version):
    facts = some_facts("n", agent_version=version)
    cloud.say(NodeHello(node_id="n", at=cloud.now, facts=facts, usage=NodeUsage()))


def node(cloud):
    return cloud.world.cluster.nodes["n"].status


def test_a_node_is_updating_until_its_agent_says_hello(cloud):
    wish(cloud)
    assert [order.version for order in cloud.sent(UpgradeAgent)] == ["0.2.0-abc"]
    assert node(cloud).state is NodeState.UPDATING
    cloud.heartbeat("n")
    assert node(cloud).state is NodeState.UPDATING
    hello(cloud, "0.2.0")
    assert (node(cloud).state, node(cloud).upgrade_error) == (NodeState.ACTIVE, "")
    assert len(cloud.sent(UpgradeAgent)) == 1


def test_no_start_goes_to_a_node_that_is_updating(cloud):
    wish(cloud)
    [instance] = cloud.start(an_instance())
    assert [reason.filter for reason in instance.status.reasons] == ["updating"]
    hello(cloud, "0.2.0")
    assert instance.status.live


def test_an_agent_that_cannot_is_active_again_and_says_why(cloud):
    wish(cloud)
    report = AgentNotUpgraded(node_id="n", at=cloud.now, version="0.2.0-abc", error="by hand")
    cloud.say(report)
    assert (node(cloud).state, node(cloud).upgrade_error) == (NodeState.ACTIVE, "by hand")
    cloud.say(report)
    wish(cloud, generation=3, upgrades=2)
    assert (node(cloud).state, node(cloud).upgrade_error) == (NodeState.UPDATING, "")
    assert len(cloud.sent(UpgradeAgent)) == 2


def test_a_late_word_about_another_version_ends_nothing(cloud):
    wish(cloud)
    cloud.say(AgentNotUpgraded(node_id="n", at=cloud.now, version="0.1.9", error="old"))
    assert node(cloud).state is NodeState.UPDATING


def test_a_node_is_never_stuck(cloud):
    wish(cloud)
    cloud.later(601)
    assert node(cloud).state is NodeState.ACTIVE
    assert node(cloud).upgrade_error == "the agent did not come back in time"


def test_the_version_that_is_there_already_is_not_ordered(cloud):
    wish(cloud, version="0.1.0-feed")
    assert cloud.sent(UpgradeAgent) == []
    assert (node(cloud).state, node(cloud).upgrades) == (NodeState.ACTIVE, 1)


def test_a_wish_that_comes_twice_is_ordered_once(cloud):
    wish(cloud)
    wish(cloud)
    assert len(cloud.sent(UpgradeAgent)) == 1


def test_a_node_that_is_away_is_told_when_it_is_back():
    cloud = Cloud(offline=30.0)
    cloud.join("n", agent_version="0.1.0")
    cloud.later(60)
    wish(cloud)
    assert (node(cloud).state, cloud.sent(UpgradeAgent)) == (NodeState.OFFLINE, [])
    hello(cloud, "0.1.0")
    assert node(cloud).state is NodeState.UPDATING
    assert len(cloud.sent(UpgradeAgent)) == 1


def test_a_drained_node_is_drained_again_afterwards(cloud):
    spec = NodeSpec(upgrades=1, upgrade_to="0.2.0", drain=True)
    cloud.say(ConfigureNode(node_id="n", generation=2, spec=spec))
    assert node(cloud).state is NodeState.UPDATING
    hello(cloud, "0.2.0")
    assert node(cloud).state is NodeState.DRAIN
