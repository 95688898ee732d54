"""Who goes first when there is not enough for all, and what a quota holds back."""

from datetime import timedelta

import pytest

from contracts.groups import GroupChanged, GroupDocument, GroupRemoved, Quota
from contracts.vms import Overrides
from tests.unit.scheduler.builders import START, Cloud, an_instance


@pytest.fixture
def cloud():
    return Cloud()


def ask(cloud, count, *, later=0.0, **wish):
    """Asked for one after the other, all after what was asked for before."""
    created = START + timedelta(seconds=later)
    documents = [
        an_instance(created=created + timedelta(milliseconds=number), **wish)
        for number in range(count)
    ]
    return cloud.start(*documents)


def placed(instances):
    return sum(instance.status.live for instance in instances)


def end(cloud, instance):
    cloud.terminate(instance)
    cloud.gone(instance)


def test_room_is_shared_between_owners_whatever_they_ask_for(cloud):
    many = ask(cloud, 20, actor="ann")
    few = ask(cloud, 3, later=1, actor="bob")
    other = ask(cloud, 20, later=2, actor="cat")
    cloud.join(capacity=9)
    assert [placed(each) for each in (many, few, other)] == [3, 3, 3]


def test_who_holds_less_gets_what_becomes_free(cloud):
    cloud.join(capacity=4)
    held = ask(cloud, 10, actor="ann")
    late = ask(cloud, 10, later=1, actor="bob")
    for instance in held[:2]:
        end(cloud, instance)
    assert (placed(held), placed(late)) == (2, 2)


def test_different_requests_of_one_owner_count_together(cloud):
    cloud.join("n", capacity=0, capabilities=("vcpu",))
    ann = [ask(cloud, 5, actor="ann", overrides=Overrides(vcpu=n)) for n in (1, 2, 3)]
    bob = ask(cloud, 15, later=1, actor="bob")
    cloud.join("m", capacity=8, capabilities=("vcpu",))
    assert (sum(map(placed, ann)), placed(bob)) == (4, 4)


def test_priority_comes_before_the_share(cloud):
    normal = ask(cloud, 4, actor="bob")
    urgent = ask(cloud, 4, later=1, actor="ann", priority=1)
    cloud.join(capacity=4)
    assert (placed(normal), placed(urgent)) == (0, 4)


def test_of_one_owner_who_came_first_goes_first(cloud):
    young, old = ask(cloud, 1, later=9), ask(cloud, 1)
    cloud.join(capacity=1)
    assert (placed(old), placed(young)) == (1, 0)


def test_who_waits_for_very_long_is_overtaken_no_more(cloud):
    [patient] = ask(cloud, 1, priority=9000)
    cloud.later(cloud.limits.ageing)
    urgent = ask(cloud, 3, later=cloud.seconds, priority=1)
    cloud.join(capacity=1)
    assert (placed([patient]), placed(urgent)) == (1, 0)


def test_a_member_of_a_pool_never_overtakes_who_really_waits(cloud):
    [member] = ask(cloud, 1, priority=10000, pool_id="p1")
    cloud.later(cloud.limits.ageing)
    [asked] = ask(cloud, 1, later=cloud.seconds)
    cloud.join(capacity=1)
    assert (placed([member]), placed([asked])) == (0, 1)


@pytest.mark.parametrize(
    ("quota", "wish", "limit"),
    [
        (Quota(instances=2), {}, "2 instances"),
        (Quota(vcpus=9), {"overrides": Overrides(vcpu=4)}, "9 virtual CPUs"),
    ],
)
def test_beyond_its_quota_a_group_waits_until_others_end(cloud, quota, wish, limit):
    cloud.world.cluster.groups["g"] = GroupDocument(id="g", name="g", quota=quota)
    cloud.join(capacity=9, groups=("g",), capabilities=("vcpu",))
    first, second, third = ask(cloud, 3, group_id="g", **wish)
    assert [placed([each]) for each in (first, second, third)] == [1, 1, 0]
    [reason] = third.status.reasons
    assert (reason.filter, reason.message) == (
        "quota",
        f"the node group's quota of {limit} is used up",
    )
    assert placed(ask(cloud, 1, later=1)) == 1
    end(cloud, first)
    assert third.status.live


def test_a_quota_holds_from_when_it_is_told_of_and_until_it_is_lifted(cloud):
    tight = GroupDocument(id="g", generation=2, name="g", quota=Quota(instances=0))
    cloud.say(GroupChanged(group=tight))
    cloud.join(capacity=9, groups=("g",))
    [held] = ask(cloud, 1, group_id="g")
    assert held.status.reasons[0].filter == "quota"
    cloud.say(GroupChanged(group=GroupDocument(id="g", generation=1, name="g")))
    assert not held.status.live
    cloud.say(GroupRemoved(group_id="g"))
    assert held.status.live


def test_a_quota_counts_what_ran_on_a_node_that_left(cloud):
    quota = Quota(instances=1)
    cloud.world.cluster.groups["g"] = GroupDocument(id="g", name="g", quota=quota)
    cloud.join("n1", groups=("g",))
    cloud.join("n2", groups=("g",))
    first, second = ask(cloud, 2, group_id="g")
    cloud.world.leave(cloud.world.cluster.nodes[first.status.node_id])
    cloud.turn()
    assert not second.status.live
    end(cloud, first)
    assert second.status.live


def test_all_who_wait_know_why_and_are_told_once(cloud):
    waiting = ask(cloud, 3)
    revisions = [each.revision for each in waiting]
    cloud.join(capacity=0)
    cloud.join("n2", capacity=0)
    assert {each.status.reasons[0].filter for each in waiting} == {"capacity"}
    assert [each.revision - before for each, before in zip(waiting, revisions, strict=True)] == [
        1,
        1,
        1,
    ]
