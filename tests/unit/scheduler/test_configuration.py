"""Settings of the whole cloud, as every node is told them."""

import pytest

from contracts.configuration import ConfigurationChanged, ConfigurationDocument
from contracts.nodes import ConfigureAgent, ConfigureNode, NodeSpec
from tests.unit.scheduler.builders import Cloud

ADDRESS = "http://registry.example:8089"


@pytest.fixture
def cloud():
    cloud = Cloud()
    cloud.join("a")
    cloud.join("b")
    cloud.orders.clear()
    return cloud


def change(cloud, generation=1, **settings):
    document = ConfigurationDocument(id="cloud", generation=generation, **settings)
    cloud.say(ConfigurationChanged(configuration=document))


def told(cloud):
    return {(o.node_id, o.registry, o.central_logging) for o in cloud.sent(ConfigureAgent)}


def test_every_node_is_told_and_who_joins_later_as_well(cloud):
    change(cloud, registry_address=ADDRESS, central_logging=False)
    cloud.join("c")
    assert told(cloud) == {(name, ADDRESS, False) for name in "abc"}


def test_what_is_older_or_known_tells_nobody_anything(cloud):
    change(cloud, generation=2, registry_address=ADDRESS)
    cloud.orders.clear()
    change(cloud, generation=2, registry_address=ADDRESS)
    change(cloud, generation=1)
    assert told(cloud) == set()


def test_a_node_may_be_without_central_logging_alone(cloud):
    spec = NodeSpec(disable_central_logging=True)
    cloud.say(ConfigureNode(node_id="a", generation=2, spec=spec))
    change(cloud, registry_address=ADDRESS)
    newest = {order.node_id: order for order in cloud.sent(ConfigureAgent)}
    assert {name: order.central_logging for name, order in newest.items()} == {
        "a": False,
        "b": True,
    }


def test_versions_grow_with_either_wish(cloud):
    change(cloud)
    cloud.say(ConfigureNode(node_id="a", generation=2, spec=NodeSpec()))
    change(cloud, generation=2)
    versions = [order.version for order in cloud.sent(ConfigureAgent) if order.node_id == "a"]
    assert versions == sorted(set(versions))
    assert len(versions) == 3
