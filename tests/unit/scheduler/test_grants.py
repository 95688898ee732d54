"""Permission groups narrow where a start may go."""

import pytest

from tests.unit.scheduler.builders import Cloud, an_instance


@pytest.fixture
def cloud():
    return Cloud()


def grant(cloud, **nodes):
    """Node to the groups that may have instances there, as read from the grants."""
    cloud.world.cluster.grant({node: frozenset(groups) for node, groups in nodes.items()})


def start(cloud, **wish):
    [instance] = cloud.start(an_instance(**wish))
    return instance


def reasons(instance):
    return {r.filter: r.nodes for r in instance.status.reasons}


def test_a_start_goes_only_where_its_permission_group_may(cloud):
    for name in ("one", "two", "three"):
        cloud.join(name, capacity=9)
    grant(cloud, two=["devops", "others"], three=["others"])
    assert {start(cloud, permission_group="devops").status.node_id for _ in range(3)} == {"two"}
    assert reasons(start(cloud, permission_group="nobody")) == {"permission": 3}


def test_a_start_without_a_permission_group_goes_anywhere(cloud):
    cloud.join("one")
    assert start(cloud).status.node_id == "one"


def test_a_pinned_start_waits_for_the_grant_on_its_node(cloud):
    cloud.join("one")
    instance = start(cloud, node_id="one", permission_group="devops")
    assert reasons(instance) == {"permission": 1}
    grant(cloud, one=["devops"])
    cloud.turn()
    assert instance.status.node_id == "one"


def test_who_waits_is_placed_when_a_node_is_granted_or_joins(cloud):
    cloud.join("one")
    instance = start(cloud, permission_group="devops")
    grant(cloud, two=["devops"])
    cloud.turn()
    assert not instance.status.live
    cloud.join("two")
    assert instance.status.node_id == "two"


def test_a_grant_that_is_taken_away_stops_no_vm_and_takes_no_more(cloud):
    cloud.join("one", capacity=9)
    grant(cloud, one=["devops"])
    instance = start(cloud, permission_group="devops")
    grant(cloud)
    assert instance.status.node_id == "one"
    assert reasons(start(cloud, permission_group="devops")) == {"permission": 1}
