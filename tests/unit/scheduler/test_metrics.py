"""What the scheduler tells of starts, of those that wait, and of who leads."""

import pytest

from contracts.instances import InstanceState
from contracts.nodes import CapacityMode
from contracts.vms import StartTimes
from scheduler.telemetry import leading, measure, standing_by
from tests.samples import Since, sample
from tests.unit.scheduler.builders import an_instance


class Starts:
    """Growth of everything that is counted of starts."""

    def __init__(self):
        phases = ("waiting", *StartTimes.__struct_fields__, "total")
        words = ("started", "retried", "failed")
        name = "corral_scheduler_start_seconds"
        self._ended = {w: Since("corral_scheduler_starts_total", outcome=w) for w in words}
        self._counts = {phase: Since(f"{name}_count", phase=phase) for phase in phases}
        self._sums = {phase: Since(f"{name}_sum", phase=phase) for phase in phases}

    def ended(self):
        grown = {word: since() for word, since in self._ended.items()}
        return {word: count for word, count in grown.items() if count}

    def took(self):
        counts = {phase: since() for phase, since in self._counts.items()}
        sums = {phase: round(since(), 3) for phase, since in self._sums.items()}
        return {phase: sums[phase] for phase, count in counts.items() if count}


@pytest.fixture
def starts():
    return Starts()


def test_a_start_is_counted_once_with_the_parts_that_it_had(cloud, starts):
    document = an_instance(created=cloud.now)
    cloud.seconds += 4
    [instance] = cloud.start(document)
    cloud.seconds += 20
    cloud.started(instance, took=StartTimes(pulling=12.5, boot=7.25))
    cloud.started(instance, took=StartTimes(pulling=12.5, boot=7.25))
    assert starts.took() == {"waiting": 4, "pulling": 12.5, "boot": 7.25, "total": 24}
    assert starts.ended() == {"started": 1}


def test_an_attempt_that_is_tried_elsewhere_is_no_failed_start(cloud, instance, starts):
    cloud.failed(instance)
    assert starts.ended() == {"retried": 1}
    cloud.failed(instance, final=True)
    assert starts.ended() == {"failed": 1}
    assert starts.took() == {}


def test_a_vm_that_fails_after_its_start_is_no_failed_start(cloud, instance, starts):
    cloud.started(instance)
    starts.ended()
    cloud.failed(instance, final=True, vm_left=True)
    assert starts.ended() == {}


def test_those_that_wait_are_told_with_what_refuses_them(cloud, instance):
    cloud.start(an_instance(created=cloud.now), an_instance(created=cloud.now))
    cloud.seconds += 30
    measure(cloud.world, cloud.now)
    assert sample("corral_scheduler_waiting") == 1
    assert sample("corral_scheduler_longest_wait_seconds") == 30
    assert sample("corral_scheduler_refused", filter="capacity") == 1
    assert sample("corral_scheduler_free_capacity", arch="amd64") == 0
    cloud.started(instance)
    cloud.terminate(instance)
    cloud.gone(instance)
    measure(cloud.world, cloud.now)
    assert sample("corral_scheduler_waiting") == 0
    assert sample("corral_scheduler_refused", filter="capacity") == 0


def test_every_state_is_told_also_when_nothing_is_in_it(cloud, instance):
    measure(cloud.world, cloud.now)
    told = {state: sample("corral_scheduler_instances", state=state) for state in InstanceState}
    assert {state for state, count in told.items() if count} == {InstanceState.SCHEDULING}
    assert sample("corral_scheduler_nodes", state="Active") == 1
    assert sample("corral_scheduler_nodes", state="Offline") == 0


def test_only_active_nodes_have_free_capacity(cloud):
    cloud.join("n2", capacity=3)
    cloud.join("n3", capacity=50, drain=True)
    by_size = {"capacity_mode": CapacityMode.RESOURCE, "vcpu_limit": 6, "ram_limit_gb": 64}
    cloud.join("n4", **by_size)
    measure(cloud.world, cloud.now)
    assert sample("corral_scheduler_free_capacity", arch="amd64") == 2 + 3 + 6
    cloud.later(10_000)
    measure(cloud.world, cloud.now)
    assert sample("corral_scheduler_nodes", state="Offline") == 4
    assert sample("corral_scheduler_free_capacity", arch="amd64") == 0


def test_a_scheduler_that_stands_by_tells_of_no_instances(cloud, instance):
    leading(7)
    measure(cloud.world, cloud.now)
    assert (sample("corral_scheduler_leader"), sample("corral_scheduler_epoch")) == (1, 7)
    standing_by()
    assert (sample("corral_scheduler_leader"), sample("corral_scheduler_epoch")) == (0, 0)
    assert sample("corral_scheduler_instances", state="Scheduling") == 0
    assert sample("corral_scheduler_nodes", state="Active") == 0
