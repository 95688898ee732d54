"""What may come between a save and its end."""

import msgspec
import pytest

from contracts.images import ImageState, PushImage, SaveImage
from contracts.instances import InstanceState, RestartVM
from contracts.vms import RebootVm, StopVm, VmPhase
from scheduler.domain.images import Images
from scheduler.handlers.images import recall
from tests.unit.scheduler.builders import Cloud, an_image_request, an_instance, some_info


@pytest.fixture
def cloud():
    return able(Cloud())


@pytest.fixture
def instance(cloud):
    return running(cloud)


@pytest.fixture
def request_(cloud, instance):
    [request] = cloud.save(an_image_request(instance.id))
    return request


def able(cloud):
    cloud.join(capabilities=("commit", "suspend"), capacity=9)
    return cloud


def running(cloud):
    [instance] = cloud.start(an_instance())
    cloud.started(instance)
    return instance


def saving(cloud, instance, request, **changes):
    return cloud.line(instance, VmPhase.SAVING, saving=request.id, **changes)


def orders(cloud):
    return [order.request_id for order in cloud.sent(PushImage)]


def ended_with(request, message):
    assert request.status.state is ImageState.ERROR
    assert request.status.failure.message == message
    return True


def test_an_end_while_it_is_pushed_ends_the_request_and_the_vm(cloud, instance, request_):
    cloud.terminate(instance)
    assert ended_with(request_, "instance was terminated")
    assert (instance.status.state, instance.status.saving) == (InstanceState.TERMINATING, "")
    assert [order.instance_id for order in cloud.sent(StopVm)] == [instance.id]


def test_a_report_after_the_end_was_asked_for_changes_nothing(cloud, instance, request_):
    cloud.terminate(instance)
    cloud.pushed(request_)
    cloud.pushed(request_, error="cancelled")
    assert ended_with(request_, "instance was terminated")
    assert (instance.status.state, instance.status.saved) == (InstanceState.TERMINATING, False)
    cloud.gone(instance)
    assert instance.status.state == InstanceState.TERMINATED


def test_an_end_after_the_image_was_saved_is_not_told_twice(cloud, instance, request_):
    cloud.pushed(request_)
    cloud.terminate(instance)
    assert request_.status.state is ImageState.DONE
    assert instance.status.state == InstanceState.TERMINATING
    assert len(cloud.sent(StopVm)) == 1


@pytest.mark.parametrize("phase", [VmPhase.RUNNING, VmPhase.SAVING, VmPhase.STOPPED])
def test_a_node_that_is_lost_and_returns_goes_on_saving(cloud, instance, request_, phase):
    cloud.later(121)
    assert (instance.status.state, instance.status.lost) == (InstanceState.ERROR, True)
    assert request_.status.state is ImageState.PENDING
    cloud.heartbeat("n1", cloud.line(instance, phase, saving=request_.id))
    assert (instance.status.state, instance.status.lost) == (InstanceState.PUSHING, False)
    cloud.pushed(request_)
    assert request_.status.state is ImageState.DONE


@pytest.mark.parametrize(
    ("outcome", "state"),
    [({}, InstanceState.TERMINATING), ({"error": "disk full"}, InstanceState.STARTED)],
    ids=["saved", "failed"],
)
def test_a_node_that_was_lost_may_report_first(cloud, instance, request_, outcome, state):
    cloud.later(121)
    cloud.pushed(request_, **outcome)
    assert (instance.status.state, instance.status.lost) == (state, False)


def test_a_save_that_waits_survives_the_silence_of_its_node(cloud, instance, request_):
    waiting_vm = running(cloud)
    [waiting] = cloud.save(an_image_request(waiting_vm.id))
    cloud.later(121)
    lines = saving(cloud, instance, request_), cloud.line(waiting_vm, info=some_info())
    cloud.heartbeat("n1", *lines)
    assert waiting.status.state is ImageState.PENDING
    cloud.pushed(request_)
    assert waiting_vm.status.state == InstanceState.PUSHING


def test_a_lost_instance_is_not_ordered_to_be_saved(cloud, request_):
    waiting_vm = running(cloud)
    [waiting] = cloud.save(an_image_request(waiting_vm.id))
    cloud.later(121)
    cloud.terminate(cloud.world.instances[request_.spec.instance_id])
    assert ended_with(waiting, "instance is not Started but Error")
    assert orders(cloud) == [request_.id]


def test_a_vm_that_fails_while_it_is_pushed_ends_the_request(cloud, instance, request_):
    cloud.failed(instance, "qemu died")
    assert ended_with(request_, "qemu died")
    assert (instance.status.state, instance.status.saving) == (InstanceState.ERROR, "")


def test_a_vm_that_its_node_lost_ends_the_request(cloud, instance, request_):
    for _ in range(2):
        cloud.later(6)
        cloud.heartbeat("n1")
    assert ended_with(request_, "its node does not know the VM any more")
    assert (instance.status.state, instance.status.live) == (InstanceState.ERROR, False)


def test_a_vm_that_was_removed_behind_our_back_ends_the_request(cloud, instance, request_):
    cloud.gone(instance)
    assert ended_with(request_, "the VM was removed from its node")


@pytest.mark.parametrize("phase", [VmPhase.RUNNING, VmPhase.SAVING, VmPhase.STOPPED])
def test_a_vm_is_pushing_however_its_node_shows_it(cloud, instance, request_, phase):
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance, phase, saving=request_.id))
    assert instance.status.state == InstanceState.PUSHING
    assert request_.status.state is ImageState.PENDING


def test_a_late_started_does_not_interrupt(cloud, instance, request_):
    cloud.started(instance)
    assert instance.status.state == InstanceState.PUSHING
    assert request_.status.state is ImageState.PENDING


def test_a_waiting_save_ends_with_the_vm_that_stops(cloud, request_):
    other = running(cloud)
    [waiting] = cloud.save(an_image_request(other.id))
    cloud.heartbeat("n1", cloud.line(other, VmPhase.STOPPED, info=some_info(status="stopped")))
    assert ended_with(waiting, 'Unexpected VM state: "stopped"')
    assert request_.status.state is ImageState.PENDING


def test_a_lost_order_is_repeated_until_the_node_saves(cloud, instance, request_):
    cloud.heartbeat("n1", cloud.line(instance))
    assert orders(cloud) == [request_.id]
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance))
    assert orders(cloud) == [request_.id] * 2
    cloud.later(6)
    cloud.heartbeat("n1", saving(cloud, instance, request_))
    assert orders(cloud) == [request_.id] * 2


def test_an_old_heartbeat_repeats_no_order(cloud, instance, request_):
    said = cloud.now
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance), at=said)
    assert orders(cloud) == [request_.id]


def test_an_old_heartbeat_does_not_undo_the_end_of_a_save(cloud, instance, request_):
    cloud.later(6)
    said = cloud.now
    cloud.later(1)
    cloud.pushed(request_, error="disk full", info=some_info())
    cloud.heartbeat(
        "n1", saving(cloud, instance, request_, info=some_info(status="paused")), at=said
    )
    assert instance.status.state == InstanceState.STARTED
    assert instance.status.vminfo.status == "running"


def test_a_repeated_report_changes_nothing(cloud, instance, request_):
    cloud.pushed(request_, error="disk full")
    [again] = cloud.save(an_image_request(instance.id))
    cloud.pushed(request_)
    assert ended_with(request_, "disk full")
    assert instance.status.saving == again.id


def test_a_report_of_another_attempt_or_node_is_ignored(cloud, instance, request_):
    cloud.pushed(request_, attempt=7)
    cloud.pushed(request_, node_id="n2")
    assert instance.status.state == InstanceState.PUSHING


def test_a_report_of_an_unknown_request_is_ignored(cloud, instance, request_):
    cloud.pushed(request_, request_id="nobody's")
    assert instance.status.state == InstanceState.PUSHING


def test_a_restart_waits_for_the_end_of_the_save(cloud, instance, request_):
    spec = msgspec.structs.replace(instance.spec, restarts=1)
    cloud.say(RestartVM(instance_id=instance.id, generation=2, spec=spec))
    cloud.later(6)
    cloud.heartbeat("n1", saving(cloud, instance, request_))
    assert not cloud.sent(RebootVm)
    cloud.pushed(request_, error="disk full")
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance))
    assert len(cloud.sent(RebootVm)) == 1


def test_a_command_that_comes_again_or_late_saves_once(cloud, instance):
    document = an_image_request(instance.id)
    [request] = cloud.save(document)
    assert cloud.save(document) == [request]
    assert orders(cloud) == [request.id]
    cloud.pushed(request, error="disk full")
    ended = stored(request, 3)
    assert cloud.save(ended) == []
    assert orders(cloud) == [request.id]


def test_a_command_whose_request_is_not_there_any_more_is_ignored(cloud, instance):
    cloud.say(SaveImage(request_id="removed long ago", instance_id=instance.id, tag="v9"))
    assert orders(cloud) == []
    assert instance.status.state == InstanceState.STARTED


def test_two_commands_in_one_batch_are_refused_once(cloud):
    document = an_image_request("nobody")
    [request, same] = cloud.save(document, document)
    assert request is same
    assert request.revision == 1


def test_a_save_that_takes_too_long_is_given_up_and_its_vm_stays():
    cloud = able(Cloud(save=3600, order=60, offline=99999))
    instance = running(cloud)
    [request] = cloud.save(an_image_request(instance.id))
    [order] = cloud.sent(PushImage)
    assert (order.valid_until - cloud.now).total_seconds() == 3600
    cloud.later(3659)
    assert request.status.state is ImageState.PENDING
    cloud.later(2)
    assert ended_with(request, "saving the image took too long")
    assert request.status.failure.code == 504
    assert instance.status.state == InstanceState.STARTED
    assert not cloud.sent(StopVm)
    cloud.pushed(request)
    assert instance.status.state == InstanceState.STARTED


def test_a_lost_vm_whose_save_is_given_up_is_lost_until_its_node_returns():
    cloud = able(Cloud(save=600))
    instance = running(cloud)
    [request] = cloud.save(an_image_request(instance.id))
    cloud.later(661)
    cloud.later(1)
    assert ended_with(request, "saving the image took too long")
    assert (instance.status.state, instance.status.lost) == (InstanceState.ERROR, True)
    cloud.heartbeat("n1", cloud.line(instance, VmPhase.SAVING, saving=request.id))
    assert (instance.status.state, instance.status.lost) == (InstanceState.STARTED, False)


def stored(request, revision=1):
    document = an_image_request(request.spec.instance_id, request.id)
    return msgspec.structs.replace(
        document, status=request.status, status_revision=revision, pending=False
    )


def test_a_successor_orders_again_what_was_under_way_and_keeps_the_turns(cloud, instance, request_):
    others = [running(cloud) for _ in range(2)]
    waiting = []
    for other in others:
        cloud.later(1)
        waiting += cloud.save(an_image_request(other.id, f"z{-len(waiting)}"))
    cloud.orders.clear()
    cloud.world.images = Images()
    for request in (*reversed(waiting), request_):
        recall(cloud.world, stored(request), cloud.moment)
    cloud.turn()
    assert orders(cloud) == [request_.id]
    cloud.pushed(request_, error="disk full")
    assert orders(cloud) == [request_.id, waiting[0].id]


def test_a_successor_takes_up_a_request_that_nobody_has_seen(cloud, instance):
    recall(cloud.world, an_image_request(instance.id), cloud.moment)
    cloud.turn()
    assert instance.status.state == InstanceState.PUSHING


def test_a_successor_ends_a_request_whose_instance_is_gone(cloud, request_):
    del cloud.world.instances[request_.spec.instance_id]
    cloud.world.images = Images()
    found = recall(cloud.world, stored(request_), cloud.moment)
    assert ended_with(found, "instance not found")


def test_an_instance_whose_request_is_gone_runs_on(cloud, instance, request_):
    cloud.world.images = Images()
    cloud.heartbeat("n1", cloud.line(instance))
    assert (instance.status.state, instance.status.saving) == (InstanceState.STARTED, "")
