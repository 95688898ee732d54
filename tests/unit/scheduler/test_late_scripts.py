"""A startup script that is brought by a claim: ordered until its outcome is heard."""

import msgspec
import pytest

from contracts.events import EventKind
from contracts.instances import InstanceState
from contracts.scripts import RunScript, VmScripted
from contracts.vms import Script, ScriptResult, StopVm, VmPhase
from tests.unit.scheduler.builders import Cloud, some_info
from tests.unit.scheduler.pools import a_pool, all_started, claim, fill, kept

SCRIPT = Script(body=b"exit 0", monitored=True)


class Claimed:
    """A member of a pool that was claimed with a script, and the events about it."""

    def __init__(self):
        self.cloud = Cloud()
        self.cloud.join(capacity=4)
        fill(self.cloud, a_pool(size=1))
        [self.instance] = kept(self.cloud)
        all_started(self.cloud)
        self.told = []
        self.instance.happened = lambda kind, *_, **__: self.told.append(kind)
        claim(self.cloud, self.instance, script=SCRIPT)

    @property
    def orders(self):
        return self.cloud.sent(RunScript)

    def scripted(self, **changes):
        about = self.cloud._about(self.instance) | {"info": some_info()}
        self.cloud.say(VmScripted(**about | changes))


@pytest.fixture
def claimed():
    return Claimed()


def test_it_is_ordered_and_started_is_told_when_it_is_over(claimed):
    [order] = claimed.orders
    status = claimed.instance.status
    assert (order.script, order.attempt, order.node_id) == (SCRIPT, 1, status.node_id)
    assert (status.script_due, claimed.told) == (True, [EventKind.START_VM])
    result = ScriptResult(return_code=0, stdout="hello")
    claimed.scripted(script_result=result)
    claimed.scripted()
    status = claimed.instance.status
    assert (status.script_due, status.script_result) == (False, result)
    assert claimed.told == [EventKind.START_VM, EventKind.VM_STARTED]
    assert claimed.instance.spec.script.body == b""


def test_a_lost_order_is_repeated_when_the_vm_is_seen_and_no_longer_than_needed(claimed):
    line = claimed.cloud.line(claimed.instance)
    claimed.cloud.heartbeat("n1", line)
    assert len(claimed.orders) == 1
    claimed.cloud.later(claimed.cloud.limits.resend + 1)
    claimed.cloud.heartbeat("n1", line)
    assert [order.script for order in claimed.orders] == [SCRIPT, SCRIPT]
    claimed.scripted()
    claimed.cloud.later(claimed.cloud.limits.resend + 1)
    claimed.cloud.heartbeat("n1", line)
    assert len(claimed.orders) == 2


def test_a_started_that_is_heard_again_takes_no_script_away(claimed):
    claimed.cloud.started(claimed.instance)
    claimed.cloud.later(claimed.cloud.limits.resend + 1)
    claimed.cloud.heartbeat("n1", claimed.cloud.line(claimed.instance))
    assert claimed.orders[-1].script == SCRIPT
    assert claimed.told == [EventKind.START_VM]


def test_its_failure_is_that_of_the_start(claimed):
    result = ScriptResult(return_code=7)
    message = "startup script exit code 7"
    claimed.cloud.failed(claimed.instance, message, final=True, vm_left=True, script_result=result)
    status = claimed.instance.status
    assert (status.state, status.message, status.script_due) == ("Error", message, False)
    assert (status.live, status.script_result) == (True, result)
    assert claimed.told == [EventKind.START_VM, EventKind.VM_FAILED_TO_START]


def test_a_silent_node_leaves_an_error_and_nothing_is_begun_elsewhere(claimed):
    claimed.cloud.join("n2", capacity=4)
    claimed.cloud.later(600)
    assert claimed.instance.status.state is InstanceState.ERROR
    assert claimed.instance.status.attempt == 1
    claimed.cloud.heartbeat("n1", claimed.cloud.line(claimed.instance))
    assert claimed.orders[-1].script == SCRIPT
    claimed.scripted()
    assert claimed.instance.status.state is InstanceState.STARTED
    assert claimed.told[-1] == EventKind.VM_STARTED


def test_who_is_terminated_meanwhile_ends(claimed):
    claimed.cloud.terminate(claimed.instance)
    assert claimed.cloud.sent(StopVm)
    claimed.scripted()
    assert claimed.instance.status.state is InstanceState.TERMINATING
    assert EventKind.VM_STARTED not in claimed.told


def test_a_restart_waits_for_the_script(claimed):
    claimed.instance.spec = msgspec.structs.replace(claimed.instance.spec, restarts=1)
    line = claimed.cloud.line(claimed.instance, VmPhase.RUNNING)
    claimed.cloud.later(claimed.cloud.limits.resend + 1)
    before = len(claimed.cloud.orders)
    claimed.cloud.heartbeat("n1", line)
    assert [type(order) for order in claimed.cloud.orders[before:]] == [RunScript]
