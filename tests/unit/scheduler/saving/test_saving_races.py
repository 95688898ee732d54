"""What may come between a save and its end."""

import msgspec
import pytest

from contracts.images import ImageState, PushImage
from contracts.instances import InstanceState, RestartVM
from contracts.vms import RebootVm, StopVm, VmPhase
from tests.unit.scheduler.builders import (
    a_cloud_that_saves,
    an_image_request,
)
from tests.unit.scheduler.saving.requests import (
    error_of,
    saving,
)


def test_an_end_while_it_is_pushed_ends_the_request_and_the_vm(cloud, instance, request_):
    cloud.terminate(instance)
    assert error_of(request_) == "instance was terminated"
    assert (instance.status.state, instance.status.saving) == (InstanceState.TERMINATING, "")
    assert [order.instance_id for order in cloud.sent(StopVm)] == [instance.id]


def test_a_report_after_the_end_was_asked_for_changes_nothing(cloud, instance, request_):
    cloud.terminate(instance)
    cloud.pushed(request_)
    cloud.pushed(request_, error="cancelled")
    assert error_of(request_) == "instance was terminated"
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


def test_a_vm_that_fails_while_it_is_pushed_ends_the_request(cloud, instance, request_):
    cloud.failed(instance, "qemu died")
    assert error_of(request_) == "qemu died"
    assert (instance.status.state, instance.status.saving) == (InstanceState.ERROR, "")


def test_a_vm_that_its_node_lost_ends_the_request(cloud, instance, request_):
    for _ in range(2):
        cloud.later(6)
        cloud.heartbeat("n1")
    assert error_of(request_) == "its node does not know the VM any more"
    assert (instance.status.state, instance.status.live) == (InstanceState.ERROR, False)


def test_a_vm_that_was_removed_behind_our_back_ends_the_request(cloud, instance, request_):
    cloud.gone(instance)
    assert error_of(request_) == "the VM was removed from its node"


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


def test_a_save_that_takes_too_long_is_given_up_and_its_vm_stays():
    cloud = a_cloud_that_saves(save=3600, order=60, offline=99999)
    instance = cloud.running()
    [request] = cloud.save(an_image_request(instance.id))
    [order] = cloud.sent(PushImage)
    assert (order.valid_until - cloud.now).total_seconds() == 3600
    cloud.later(3659)
    assert request.status.state is ImageState.PENDING
    cloud.later(2)
    assert error_of(request) == "saving the image took too long"
    assert request.status.failure.code == 504
    assert instance.status.state == InstanceState.STARTED
    assert not cloud.sent(StopVm)
    cloud.pushed(request)
    assert instance.status.state == InstanceState.STARTED


def test_a_lost_vm_whose_save_is_given_up_is_lost_until_its_node_returns():
    cloud = a_cloud_that_saves(save=600)
    instance = cloud.running()
    [request] = cloud.save(an_image_request(instance.id))
    cloud.later(661)
    cloud.later(1)
    assert error_of(request) == "saving the image took too long"
    assert (instance.status.state, instance.status.lost) == (InstanceState.ERROR, True)
    cloud.heartbeat("n1", cloud.line(instance, VmPhase.SAVING, saving=request.id))
    assert (instance.status.state, instance.status.lost) == (InstanceState.STARTED, False)
