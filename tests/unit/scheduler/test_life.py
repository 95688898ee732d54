"""The life of an instance as the scheduler sees it, one promise a test."""

import msgspec

from contracts.events import EventKind
from contracts.instances import InstanceState, RestartVM
from contracts.vms import RebootVm, RunVm, StopVm, VmPhase, VmProgress
from scheduler.domain.limits import Limits
from tests.unit.scheduler.builders import Cloud, an_instance, some_info


def test_a_start_is_ordered_from_a_node_with_room(cloud, instance):
    [order] = cloud.sent(RunVm)
    assert (order.node_id, order.instance_id, order.attempt) == ("n1", instance.id, 1)
    assert instance.status.state == InstanceState.SCHEDULING
    assert order.deadline > cloud.now
    assert order.valid_until == instance.valid_until


def test_a_started_vm_is_started_with_its_facts(cloud, instance):
    cloud.started(instance)
    assert instance.status.state == InstanceState.STARTED
    assert instance.status.vminfo.ip == "10.1.1.1"


def test_what_an_attempt_left_in_the_registry_is_kept_until_the_instance_runs(cloud, instance):
    assert cloud.sent(RunVm)[0].request_id == instance.spec.start_request_id
    cloud.failed(instance, logs=("vm-1/console.log",))
    assert instance.status.failure_logs == ("vm-1/console.log",)
    cloud.started(instance)
    assert instance.status.failure_logs == ()
    cloud.failed(instance, final=True, logs=("vm-2/console.log", "vm-2/agent.log"))
    assert instance.status.state == InstanceState.ERROR
    assert instance.status.failure_logs == ("vm-2/console.log", "vm-2/agent.log")


def test_a_repeated_start_command_changes_nothing(cloud):
    document = an_instance()
    cloud.start(document)
    cloud.start(document)
    assert len(cloud.sent(RunVm)) == 1


def test_pulling_shows_progress_and_then_scheduling_again(cloud, instance):
    about = {"node_id": "n1", "at": cloud.now, "instance_id": instance.id, "attempt": 1}
    cloud.say(VmProgress(**about, phase=VmPhase.PULLING, progress=0.42))
    assert (instance.status.state, instance.status.progress) == (InstanceState.PULLING, 0.42)
    cloud.say(VmProgress(**about, phase=VmPhase.PREPARING))
    assert instance.status.state == InstanceState.SCHEDULING
    cloud.started(instance)
    cloud.say(VmProgress(**about, phase=VmPhase.PULLING, progress=0.5))
    assert instance.status.state == InstanceState.STARTED


def test_without_room_it_waits_and_says_why(cloud):
    cloud.start(an_instance(), an_instance())
    [waiting] = cloud.start(an_instance())
    assert [(r.filter, r.nodes) for r in waiting.status.reasons] == [("capacity", 1)]
    assert len(cloud.sent(RunVm)) == 2


def test_room_that_is_freed_goes_to_who_waits(cloud):
    first, _ = cloud.start(an_instance(), an_instance())
    [waiting] = cloud.start(an_instance())
    cloud.started(first)
    cloud.terminate(first)
    assert not waiting.status.live
    cloud.gone(first)
    assert waiting.status.live
    assert waiting.status.reasons == ()


def test_priority_goes_before_age_and_age_within_priority(cloud):
    cloud.start(an_instance(), an_instance())
    late, early, urgent = cloud.start(
        an_instance("a-late", created=cloud.now.replace(minute=2)),
        an_instance("b-early", created=cloud.now.replace(minute=1)),
        an_instance("c-urgent", created=cloud.now.replace(minute=3), priority=1),
    )
    for node in ("n2", "n3"):
        cloud.join(node, capacity=1)
    assert urgent.status.live
    assert early.status.live
    assert not late.status.live


def test_a_failure_that_may_be_the_hosts_is_tried_on_another_node(cloud, instance):
    cloud.join("n2")
    cloud.failed(instance, "disk broke")
    assert (instance.status.node_id, instance.status.attempt) == ("n2", 2)
    assert instance.status.state == InstanceState.SCHEDULING
    assert [a.failure for a in instance.status.attempts] == ["disk broke", ""]


def test_a_final_failure_is_an_error_with_its_message(cloud, instance):
    cloud.failed(instance, "startup script exit code 3", final=True)
    assert instance.status.state == InstanceState.ERROR
    assert instance.status.message == "startup script exit code 3"
    assert not instance.status.live


def test_attempts_are_limited():
    cloud = Cloud(attempts=2)
    cloud.join()
    cloud.join("n2")
    [instance] = cloud.start(an_instance())
    cloud.failed(instance)
    cloud.failed(instance)
    assert instance.status.state == InstanceState.ERROR
    assert len(cloud.sent(RunVm)) == 2


def test_one_that_was_never_placed_shows_terminating_and_vanishes():
    cloud = Cloud()
    [instance] = cloud.start(an_instance())
    cloud.terminate(instance)
    assert instance.status.state == InstanceState.TERMINATING
    cloud.later(61)
    assert instance.id not in cloud.world.instances
    assert not cloud.sent(StopVm)


def test_a_terminated_one_stays_a_minute_and_goes(cloud, instance):
    cloud.started(instance)
    cloud.terminate(instance)
    assert instance.status.state == InstanceState.TERMINATING
    [stop] = cloud.sent(StopVm)
    assert (stop.node_id, stop.attempt) == ("n1", 1)
    cloud.gone(instance)
    assert instance.status.state == InstanceState.TERMINATED
    cloud.later(59)
    assert instance.id in cloud.world.instances
    cloud.later(2)
    assert instance.id not in cloud.world.instances


def test_a_late_started_after_terminate_orders_the_vm_away_again(cloud, instance):
    cloud.terminate(instance)
    cloud.started(instance)
    assert instance.status.state == InstanceState.TERMINATING
    assert len(cloud.sent(StopVm)) == 2


def test_heartbeats_from_before_the_start_was_reported_do_not_lose_the_vm(cloud, instance):
    """The bus may bring a node's reports in another order than they were said."""
    cloud.later(20)
    said = cloud.now
    cloud.later(1)
    cloud.started(instance)
    for _ in range(3):
        cloud.heartbeat("n1", at=said)
    assert instance.status.state == InstanceState.STARTED
    cloud.heartbeat("n1", cloud.line(instance, VmPhase.STOPPED), at=said)
    assert instance.status.state == InstanceState.STARTED


def test_a_guest_that_shuts_down_is_stopped_and_says_so(cloud, instance):
    cloud.started(instance)
    cloud.heartbeat("n1", cloud.line(instance, VmPhase.STOPPED, info=some_info(status="stopped")))
    assert instance.status.state == InstanceState.STOPPED
    assert instance.status.message == 'Unexpected VM state: "stopped"'


def test_a_restart_is_ordered_until_it_is_reported(cloud, instance):
    cloud.started(instance)
    spec = msgspec.structs.replace(instance.spec, restarts=1)
    cloud.say(RestartVM(instance_id=instance.id, generation=2, spec=spec))
    cloud.later(6)
    cloud.heartbeat("n1", cloud.line(instance))
    assert [order.number for order in cloud.sent(RebootVm)] == [1, 1]
    assert instance.status.state == InstanceState.STARTED


def test_an_end_is_repeated_while_the_node_still_lists_the_vm(cloud, instance):
    cloud.started(instance)
    cloud.terminate(instance)
    cloud.later(5)
    cloud.heartbeat("n1", cloud.line(instance))
    assert len(cloud.sent(StopVm)) == 2


def test_an_end_on_a_node_that_is_away_does_not_wait_for_ever(cloud, instance):
    cloud.started(instance)
    cloud.terminate(instance)
    cloud.later(121)
    cloud.later(5)
    assert instance.status.state == InstanceState.TERMINATED


def test_a_start_that_takes_too_long_is_ordered_away_and_tried_elsewhere():
    cloud = Cloud(start=30)
    cloud.join()
    [instance] = cloud.start(an_instance())
    cloud.later(31)
    [stop] = cloud.sent(StopVm)
    assert stop.attempt == 1
    cloud.join("n2")
    cloud.gone(instance)
    assert (instance.status.node_id, instance.status.attempt) == ("n2", 2)


def test_what_happened_is_told_once_and_in_order(cloud, monkeypatch):
    said = []
    from scheduler.domain.subject import Subject

    original = Subject.happened

    def listen(self, kind, now, fields, **who):
        said.append(kind)
        original(self, kind, now, fields, **who)

    monkeypatch.setattr(Subject, "happened", listen)
    [instance] = cloud.start(an_instance())
    cloud.started(instance)
    cloud.started(instance)
    cloud.terminate(instance)
    cloud.gone(instance)
    assert said == [
        EventKind.START_VM,
        EventKind.VM_STARTED,
        EventKind.TERMINATE_VM,
        EventKind.VM_TERMINATED,
    ]


def test_limits_have_documented_defaults():
    assert (Limits().offline, Limits().keep, Limits().unknown_reports) == (120, 60, 30)
