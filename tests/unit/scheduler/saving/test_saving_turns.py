"""Whose turn it is to be saved: one line per template."""

from contracts.images import ImageState, PushImage
from contracts.instances import InstanceState
from contracts.vms import VmPhase
from scheduler.domain.images import Images
from scheduler.handlers.images import recall
from tests.unit.scheduler.builders import (
    a_template,
    an_image_request,
    some_info,
)
from tests.unit.scheduler.saving.requests import (
    error_of,
    ordered,
    refusal_of,
    save,
    saving,
    stored,
)


def test_saves_of_one_template_run_one_after_the_other_in_order(cloud):
    instances = [cloud.running() for _ in range(3)]
    requests = [save(cloud, instance) for instance in instances]
    assert ordered(cloud) == [requests[0].id]
    assert instances[1].status.state == InstanceState.STARTED
    cloud.pushed(requests[0])
    assert ordered(cloud) == [r.id for r in requests[:2]]
    cloud.pushed(requests[1], error="disk full")
    assert ordered(cloud) == [r.id for r in requests]
    assert instances[2].status.state == InstanceState.PUSHING


def test_saves_of_different_templates_do_not_wait_for_each_other(cloud):
    cloud.templates["other"] = a_template("other")
    save(cloud, cloud.running())
    save(cloud, cloud.running(), target_template_id="other")
    save(cloud, cloud.running(), target_template_id="fresh", new_template_name="tools")
    assert [order.template_id for order in cloud.sent(PushImage)] == ["tpl", "other", "fresh"]


def test_a_refused_save_lets_the_next_one_pass(cloud):
    under_way = save(cloud, cloud.running())
    unlucky, next_one = save(cloud, cloud.running()), save(cloud, cloud.running())
    cloud.terminate(cloud.world.instances[unlucky.spec.instance_id])
    assert refusal_of(unlucky) == ("instance was terminated", 409)
    cloud.pushed(under_way)
    assert ordered(cloud) == [under_way.id, next_one.id]


def test_an_instance_is_saved_once_at_a_time(cloud, instance):
    first = save(cloud, instance)
    second = save(cloud, instance, target_template_id="fresh", new_template_name="tools")
    assert refusal_of(second) == ("instance is being saved already", 409)
    cloud.pushed(first, error="disk full")
    third = save(cloud, instance)
    assert instance.status.saving == third.id


def test_a_save_that_waits_survives_the_silence_of_its_node(cloud, instance, request_):
    waiting_vm = cloud.running()
    [waiting] = cloud.save(an_image_request(waiting_vm.id))
    cloud.later(121)
    lines = saving(cloud, instance, request_), cloud.line(waiting_vm, info=some_info())
    cloud.heartbeat("n1", *lines)
    assert waiting.status.state is ImageState.PENDING
    cloud.pushed(request_)
    assert waiting_vm.status.state == InstanceState.PUSHING


def test_a_lost_instance_is_not_ordered_to_be_saved(cloud, request_):
    waiting_vm = cloud.running()
    [waiting] = cloud.save(an_image_request(waiting_vm.id))
    cloud.later(121)
    cloud.terminate(cloud.world.instances[request_.spec.instance_id])
    assert error_of(waiting) == "instance is not Started but Error"
    assert ordered(cloud) == [request_.id]


def test_a_waiting_save_ends_with_the_vm_that_stops(cloud, request_):
    other = cloud.running()
    [waiting] = cloud.save(an_image_request(other.id))
    cloud.heartbeat("n1", cloud.line(other, VmPhase.STOPPED, info=some_info(status="stopped")))
    assert error_of(waiting) == 'Unexpected VM state: "stopped"'
    assert request_.status.state is ImageState.PENDING


def test_a_successor_orders_again_what_was_under_way_and_keeps_the_turns(cloud, instance, request_):
    others = [cloud.running() for _ in range(2)]
    waiting = []
    for other in others:
        cloud.later(1)
        waiting += cloud.save(an_image_request(other.id, f"z{-len(waiting)}"))
    cloud.orders.clear()
    cloud.world.images = Images()
    for request in (*reversed(waiting), request_):
        recall(cloud.world, stored(request), cloud.moment)
    cloud.turn()
    assert ordered(cloud) == [request_.id]
    cloud.pushed(request_, error="disk full")
    assert ordered(cloud) == [request_.id, waiting[0].id]
