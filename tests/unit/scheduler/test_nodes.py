"""What nodes say and leave unsaid, and what the scheduler makes of it."""

import pytest

from contracts.instances import InstanceState
from contracts.nodes import (
    ConfigureAgent,
    ConfigureNode,
    DeleteNode,
    NodeGoodbye,
    NodeHeartbeat,
    NodeSpec,
    NodeUsage,
)
from contracts.vms import ReportsMarked, RunVm, StopVm, VmPhase, VmRefused
from tests.unit.scheduler.builders import Cloud, an_instance, some_info


def test_a_silent_node_puts_running_vms_in_error_and_holds_their_room(cloud, instance):
    cloud.started(instance)
    cloud.later(121)
    assert instance.status.state == InstanceState.ERROR
    assert instance.status.live
    assert not cloud.sent(RunVm)[1:]


def test_a_node_that_speaks_again_brings_its_vms_back(cloud, instance):
    cloud.started(instance)
    cloud.later(121)
    cloud.heartbeat("n1", cloud.line(instance, info=some_info()))
    assert instance.status.state == InstanceState.STARTED
    assert instance.status.message == ""
    assert cloud.world.cluster.nodes["n1"].online


def test_a_start_on_a_silent_node_is_repeated_elsewhere_only_when_no_vm_can_be_left(
    cloud, instance
):
    cloud.later(60)
    cloud.heartbeat("n1", cloud.line(instance, VmPhase.PREPARING))
    cloud.join("n2")
    cloud.later(119)
    assert not cloud.sent(ReportsMarked)
    cloud.heartbeat("n2")
    cloud.later(10)
    [mark] = [f for f in cloud.facts if isinstance(f, ReportsMarked)]
    assert instance.status.node_id == "n1"
    cloud.say(mark)
    assert (instance.status.node_id, instance.status.attempt) == ("n2", 2)


def test_a_report_that_was_in_the_queue_saves_the_attempt(cloud, instance):
    cloud.join("n2")
    cloud.later(126)
    [mark] = [f for f in cloud.facts if isinstance(f, ReportsMarked)]
    cloud.started(instance)
    cloud.say(mark)
    assert instance.status.state == InstanceState.STARTED
    assert instance.status.node_id == "n1"


def test_a_superseded_attempt_that_shows_up_is_ordered_away(cloud, instance):
    cloud.join("n2")
    old = cloud.line(instance, VmPhase.RUNNING)
    cloud.failed(instance)
    cloud.orders.clear()
    cloud.heartbeat("n1", old)
    [stop] = cloud.sent(StopVm)
    assert (stop.node_id, stop.attempt) == ("n1", 1)
    assert cloud.world.cluster.nodes["n1"].room(1, 1) == 1


def test_an_unknown_vm_is_left_alone_but_holds_room(cloud):
    cloud.heartbeat("n1", cloud.line(an_unknown()))
    assert not cloud.sent(StopVm)
    assert cloud.world.cluster.nodes["n1"].room(1, 1) == 1


def an_unknown():
    from scheduler.domain.instance import Instance

    return Instance(an_instance("nobody"))


def test_a_vm_of_an_ended_instance_is_ordered_away(cloud):
    cloud.world.tombstones = {"nobody"}
    cloud.heartbeat("n1", cloud.line(an_unknown()))
    assert [order.instance_id for order in cloud.sent(StopVm)] == ["nobody"]


def test_a_lost_order_is_repeated_when_heartbeats_do_not_list_the_attempt(cloud, instance):
    cloud.heartbeat("n1")
    assert len(cloud.sent(RunVm)) == 1
    cloud.later(6)
    cloud.heartbeat("n1")
    first, second = cloud.sent(RunVm)
    assert second.attempt == first.attempt


def test_a_heartbeat_that_is_delivered_again_tells_of_the_past(cloud, instance):
    cloud.later(6)
    early = cloud.now
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance, info=some_info()))
    cloud.started(instance)
    for _ in range(3):
        cloud.say(NodeHeartbeat(node_id="n1", at=early, usage=NodeUsage()))
    assert instance.status.state == InstanceState.STARTED


def test_a_vm_that_its_node_lost_is_an_error(cloud, instance):
    cloud.started(instance)
    for _ in range(2):
        cloud.later(6)
        cloud.heartbeat("n1")
    assert instance.status.state == InstanceState.ERROR
    assert not instance.status.live


def test_a_node_with_a_newer_attempt_raises_ours(cloud, instance):
    cloud.say(
        VmRefused(
            node_id="n1",
            at=cloud.now,
            instance_id=instance.id,
            attempt=1,
            known_attempt=7,
            known_epoch=3,
        )
    )
    assert instance.status.attempt == 8


def test_a_clock_that_is_ahead_gets_no_starts(cloud):
    cloud.seconds -= 60
    node = cloud.world.cluster.nodes["n1"]
    ahead = cloud.now
    cloud.seconds -= 60
    cloud.say(NodeHeartbeat(node_id="n1", at=ahead, usage=NodeUsage()))
    assert node.skewed
    [instance] = cloud.start(an_instance())
    assert [r.filter for r in instance.status.reasons] == ["clock"]


def test_an_unknown_node_is_asked_to_say_hello():
    cloud = Cloud()
    cloud.heartbeat("stranger", queue="q7")
    [order] = cloud.sent(ConfigureAgent)
    assert (order.rejoin, order.queue) == (True, "q7")


def test_a_drained_node_takes_nothing_until_it_is_opened_again(cloud):
    cloud.say(ConfigureNode(node_id="n1", generation=2, spec=NodeSpec(drain=True)))
    [instance] = cloud.start(an_instance())
    assert [r.filter for r in instance.status.reasons] == ["drain"]
    cloud.say(ConfigureNode(node_id="n1", generation=3, spec=NodeSpec(drain=False)))
    assert instance.status.live


@pytest.mark.parametrize("farewell", ["goodbye", "delete"])
def test_vms_of_a_node_that_left_are_in_error_until_it_returns(cloud, instance, farewell):
    cloud.started(instance)
    message = (
        NodeGoodbye(node_id="n1", at=cloud.now)
        if farewell == "goodbye"
        else DeleteNode(node_id="n1", generation=2, spec=NodeSpec(remove=True))
    )
    cloud.say(message)
    assert instance.status.state == InstanceState.ERROR
    cloud.later(1)
    cloud.join()
    cloud.heartbeat("n1", cloud.line(instance, info=some_info()))
    assert instance.status.state == InstanceState.STARTED
    assert cloud.world.cluster.nodes["n1"].room(1, 1) == 1
