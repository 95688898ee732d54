"""Saving an instance as an image: what is ordered, what is refused, how it ends."""

import msgspec
import pytest

from contracts.events import EventKind
from contracts.images import ImageState, PushImage
from contracts.instances import InstanceState
from contracts.vms import Script, ScriptResult, StopVm, VmPhase
from tests.unit.scheduler.builders import (
    Cloud,
    a_template,
    an_image_request,
    an_instance,
    some_info,
)
from tests.unit.scheduler.saving.requests import (
    refusal_of,
    save,
)


def test_a_save_is_ordered_from_the_node_of_the_vm(cloud, instance):
    script = Script(body=b"echo hi")
    request = save(
        cloud,
        instance,
        description="with tools",
        suspend=True,
        script=script,
        suspend_sanity_test=True,
        cancel_on_script_failure=True,
        registry="http://registry",
    )
    assert instance.status.state == InstanceState.PUSHING
    assert instance.status.saving == request.id
    [order] = cloud.sent(PushImage)
    assert msgspec.structs.asdict(order) == {
        "id": "",
        "node_id": "n1",
        "queue": "n1",
        "deadline": order.deadline,
        "epoch": 1,
        "attempt": 1,
        "request_id": request.id,
        "instance_id": instance.id,
        "registry": "http://registry",
        "repository": "team/base",
        "tag": "v9",
        "template_name": "base",
        "template_id": "tpl",
        "description": "with tools",
        "suspend": True,
        "script": script,
        "suspend_sanity_test": True,
        "cancel_on_script_failure": True,
        "revert_number": None,
        "valid_until": request.status.deadline,
    }
    assert cloud.now < order.deadline < order.valid_until
    assert (request.status.node_id, request.status.vm_uuid) == ("n1", "u")


def test_a_saved_instance_ends_and_its_vm_is_deleted(cloud, instance):
    request = save(cloud, instance)
    ran = ScriptResult(return_code=0, stdout="hi")
    cloud.pushed(request, script_result=ran)
    assert (request.status.state, request.status.digest) == (ImageState.DONE, "sha256:new")
    assert request.status.script_result == ran
    assert request.status.finished == cloud.now
    assert (instance.status.state, instance.status.saved) == (InstanceState.TERMINATING, True)
    [stop] = cloud.sent(StopVm)
    assert (stop.instance_id, stop.node_id, stop.attempt) == (instance.id, "n1", 1)
    cloud.gone(instance)
    assert instance.status.state == InstanceState.TERMINATED
    cloud.later(61)
    assert instance.id not in cloud.world.instances


def test_the_end_of_a_saved_vm_is_repeated_while_its_node_lists_it(cloud, instance):
    cloud.pushed(save(cloud, instance))
    cloud.later(5)
    cloud.heartbeat("n1", cloud.line(instance, VmPhase.STOPPED))
    assert len(cloud.sent(StopVm)) == 2
    assert instance.status.state == InstanceState.TERMINATING


def test_after_a_failure_the_vm_runs_on_with_fresh_facts(cloud, instance):
    request = save(cloud, instance)
    cloud.pushed(request, error="registry unreachable", info=some_info(ip="10.1.1.2"))
    assert request.status.state is ImageState.ERROR
    assert request.status.failure.message == "registry unreachable"
    assert (instance.status.state, instance.status.saving) == (InstanceState.STARTED, "")
    assert instance.status.vminfo.ip == "10.1.1.2"
    assert not cloud.sent(StopVm)


def test_a_failed_script_has_the_documented_shape(cloud, instance):
    request = save(cloud, instance, cancel_on_script_failure=True)
    ran = ScriptResult(return_code=127, stderr="sh: line 1: fadsfsd: command not found\n")
    cloud.pushed(request, error="exit code 127", script_failed=True, script_result=ran)
    failure = request.status.failure
    assert (failure.message, failure.code, failure.kind) == ("Script execution failed", 0, "")
    assert request.status.script_result == ran


def test_only_the_last_mebibyte_of_each_stream_is_kept(cloud, instance):
    request = save(cloud, instance)
    long = "é" * (1 << 20) + "end"
    cloud.pushed(request, script_result=ScriptResult(return_code=0, stdout=long, stderr="short"))
    kept = request.status.script_result
    assert (1 << 20) - 1 <= len(kept.stdout.encode()) <= 1 << 20
    assert long.endswith(kept.stdout)
    assert kept.stderr == "short"


@pytest.mark.parametrize(
    ("wish", "number"),
    [
        ({}, None),
        ({"revert_tag": "v1"}, None),
        ({"revert_before_push": True}, 2),
        ({"revert_before_push": True, "revert_tag": "v2"}, 1),
        ({"revert_before_push": True, "revert_tag": "no such tag"}, None),
    ],
)
def test_the_version_to_revert_is_that_of_the_tag_or_the_latest(cloud, instance, wish, number):
    cloud.templates["tpl"] = a_template(tags=("v1", "v2", "v3"))
    save(cloud, instance, **wish)
    assert [order.revert_number for order in cloud.sent(PushImage)] == [number]


def test_a_new_template_lives_under_its_id(cloud, instance):
    save(cloud, instance, target_template_id="fresh", new_template_name="tools")
    [order] = cloud.sent(PushImage)
    assert (order.repository, order.template_id, order.template_name) == ("fresh", "fresh", "tools")


def test_an_unknown_template_is_an_error(cloud, instance):
    request = save(cloud, instance, target_template_id="nowhere")
    assert refusal_of(request) == ("template nowhere not found", 404)
    assert instance.status.state == InstanceState.STARTED


def test_an_instance_that_is_not_there_is_an_error(cloud):
    [request] = cloud.save(an_image_request("nobody"))
    assert refusal_of(request) == ("instance not found", 404)


def test_an_instance_whose_node_is_not_known_is_an_error(cloud, instance):
    cloud.world.cluster.remove(cloud.world.cluster.nodes["n1"])
    assert refusal_of(save(cloud, instance)) == ("the node of the instance is not known", 409)


def test_only_a_started_instance_can_be_saved(cloud):
    [starting] = cloud.start(an_instance())
    stopped = cloud.running()
    cloud.heartbeat("n1", cloud.line(starting, VmPhase.PREPARING), cloud.line(stopped, "stopped"))
    ended = cloud.running()
    cloud.terminate(ended)
    messages = [refusal_of(save(cloud, one))[0] for one in (starting, stopped, ended)]
    assert messages == [
        "instance is not Started but Scheduling",
        "instance is not Started but Stopped",
        "instance was terminated",
    ]


@pytest.mark.parametrize(
    ("capabilities", "suspend", "message"),
    [
        ((), False, "saving images is not supported by the tart driver"),
        (("suspend",), True, "saving images is not supported by the tart driver"),
        (("commit",), True, "suspending is not supported by the tart driver"),
    ],
)
def test_what_the_driver_cannot_do_is_an_error_at_once(capabilities, suspend, message):
    cloud = Cloud()
    cloud.join(capabilities=capabilities, driver="tart")
    instance = cloud.running()
    assert refusal_of(save(cloud, instance, suspend=suspend)) == (message, 501)
    assert instance.status.state == InstanceState.STARTED


def test_a_save_without_suspend_needs_no_driver_that_suspends():
    cloud = Cloud()
    cloud.join(capabilities=("commit",))
    instance = cloud.running()
    save(cloud, instance, suspend=False)
    assert instance.status.state == InstanceState.PUSHING


def test_the_public_time_of_change_moves_with_the_save(cloud, instance):
    before = instance.status.changed
    cloud.later(60)
    save(cloud, instance)
    assert instance.status.changed == cloud.now > before


def test_a_request_is_told_when_it_is_seen_and_when_it_ends(cloud, instance, monkeypatch):
    from scheduler.domain.subject import Subject

    said = []
    original = Subject.happened

    def listen(self, kind, now, fields, **who):
        said.append((kind, fields.get("image_request_id"), who.get("request_id")))
        original(self, kind, now, fields, **who)

    monkeypatch.setattr(Subject, "happened", listen)
    failed = save(cloud, instance)
    cloud.pushed(failed, error="disk full")
    done = save(cloud, instance)
    cloud.pushed(done)
    cloud.gone(instance)
    assert said == [
        (EventKind.SAVE_IMAGE, failed.id, "req"),
        (EventKind.IMAGE_SAVE_FAILED, failed.id, ""),
        (EventKind.SAVE_IMAGE, done.id, "req"),
        (EventKind.IMAGE_SAVED, done.id, ""),
        (EventKind.VM_TERMINATED, None, None),
    ]


def test_ended_requests_are_not_kept_in_memory(cloud, instance):
    cloud.pushed(save(cloud, instance))
    save(cloud, instance)
    images = cloud.world.images
    assert (images.requests, images.of_instance, images.changed) == ({}, {}, {})
