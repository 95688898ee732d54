"""Orders, reports and commands of saves that are lost, late or repeated."""

from contracts.images import PushImage, SaveImage
from contracts.instances import InstanceState
from scheduler.domain.images import Images
from scheduler.handlers.images import recall
from tests.unit.scheduler.builders import (
    a_template,
    an_image_request,
    some_info,
)
from tests.unit.scheduler.saving.requests import error_of, ordered, save, saving, stored


def test_a_repeated_order_reverts_no_other_version_than_the_first(cloud, instance):
    cloud.templates["tpl"] = a_template(tags=("v1", "v2"))
    save(cloud, instance, revert_before_push=True)
    cloud.templates["tpl"] = a_template(tags=("v1",))
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance))
    assert [order.revert_number for order in cloud.sent(PushImage)] == [1, 1]


def test_a_lost_order_is_repeated_until_the_node_saves(cloud, instance, request_):
    cloud.heartbeat("n1", cloud.line(instance))
    assert ordered(cloud) == [request_.id]
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance))
    assert ordered(cloud) == [request_.id] * 2
    cloud.later(6)
    cloud.heartbeat("n1", saving(cloud, instance, request_))
    assert ordered(cloud) == [request_.id] * 2


def test_an_old_heartbeat_repeats_no_order(cloud, instance, request_):
    said = cloud.now
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance), at=said)
    assert ordered(cloud) == [request_.id]


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
    assert error_of(request_) == "disk full"
    assert instance.status.saving == again.id


def test_a_report_of_another_attempt_or_node_is_ignored(cloud, instance, request_):
    cloud.pushed(request_, attempt=7)
    cloud.pushed(request_, node_id="n2")
    assert instance.status.state == InstanceState.PUSHING


def test_a_report_of_an_unknown_request_is_ignored(cloud, instance, request_):
    cloud.pushed(request_, request_id="nobody's")
    assert instance.status.state == InstanceState.PUSHING


def test_a_command_that_comes_again_or_late_saves_once(cloud, instance):
    document = an_image_request(instance.id)
    [request] = cloud.save(document)
    assert cloud.save(document) == [request]
    assert ordered(cloud) == [request.id]
    cloud.pushed(request, error="disk full")
    ended = stored(request, 3)
    assert cloud.save(ended) == []
    assert ordered(cloud) == [request.id]


def test_a_command_whose_request_is_not_there_any_more_is_ignored(cloud, instance):
    cloud.say(SaveImage(request_id="removed long ago", instance_id=instance.id, tag="v9"))
    assert ordered(cloud) == []
    assert instance.status.state == InstanceState.STARTED


def test_two_commands_in_one_batch_are_refused_once(cloud):
    document = an_image_request("nobody")
    [request, same] = cloud.save(document, document)
    assert request is same
    assert request.revision == 1


def test_a_successor_takes_up_a_request_that_nobody_has_seen(cloud, instance):
    recall(cloud.world, an_image_request(instance.id), cloud.moment)
    cloud.turn()
    assert instance.status.state == InstanceState.PUSHING


def test_a_successor_ends_a_request_whose_instance_is_gone(cloud, request_):
    del cloud.world.instances[request_.spec.instance_id]
    cloud.world.images = Images()
    found = recall(cloud.world, stored(request_), cloud.moment)
    assert error_of(found) == "instance not found"


def test_an_instance_whose_request_is_gone_runs_on(cloud, instance, request_):
    cloud.world.images = Images()
    cloud.heartbeat("n1", cloud.line(instance))
    assert (instance.status.state, instance.status.saving) == (InstanceState.STARTED, "")
