"""The groups that a node asks for when it joins, also when nobody knows them yet."""

from contracts.groups import GroupChanged, GroupDocument, GroupRemoved
from contracts.nodes import ConfigureNode, NodeSpec


def know(cloud, name, generation=1):
    group = GroupDocument(id=f"id-{name}", generation=generation, name=name)
    cloud.say(GroupChanged(group=group))


def test_a_node_joins_the_groups_that_it_names(cloud):
    know(cloud, "ios")
    assert cloud.join("mini", groups=("ios", "unknown")).status.groups == ("id-ios",)


def test_a_group_that_is_told_after_the_node_has_joined_gets_it(cloud):
    node = cloud.join("mini", groups=("ios", "mac"))
    other = cloud.join("other")
    know(cloud, "mac")
    know(cloud, "ios")
    know(cloud, "ios", generation=2)
    assert node.status.groups == ("id-mac", "id-ios")
    assert node.group_ids == {"id-mac", "id-ios"}
    assert other.status.groups == ()


def test_a_group_that_is_told_again_after_its_removal_has_its_node_once(cloud):
    know(cloud, "ios")
    node = cloud.join("mini", groups=("ios",))
    cloud.say(GroupRemoved(group_id="id-ios"))
    know(cloud, "ios")
    assert node.status.groups == ("id-ios",)


def test_what_an_operator_wished_is_left_alone(cloud):
    node = cloud.join("mini", groups=("ios",))
    cloud.say(ConfigureNode(node_id="mini", generation=2, spec=NodeSpec(groups=())))
    know(cloud, "ios")
    assert node.status.groups == ()
