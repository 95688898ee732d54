"""The scheduler's own metrics. Gauges are of the leader; one that stands by shows none."""

from collections import Counter as Count
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from chassis.telemetry import UNCONFIRMED
from contracts.instances import InstanceState
from contracts.nodes import NodeState
from contracts.vms import StartTimes
from scheduler.domain.world import World

COMMITS = Counter("corral_scheduler_commits_total", "Transactions committed.")
COMMIT_SECONDS = Histogram(
    "corral_scheduler_commit_seconds",
    "Time to commit what one turn decided.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
)
DECISIONS = Counter("corral_scheduler_status_writes_total", "Instance status writes.")
PLACED = Counter("corral_scheduler_placed_total", "Attempts that were given a node.")
PLACING_SECONDS = Histogram(
    "corral_scheduler_placing_seconds",
    "Time in which one turn placed all that could be placed.",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1),
)
LEADER = Gauge("corral_scheduler_leader", "1 while this scheduler holds the lease.")
EPOCH = Gauge("corral_scheduler_epoch", "Fencing epoch while leading, 0 while standing by.")
INSTANCES = Gauge("corral_scheduler_instances", "Instances known.", ["state"])
NODES = Gauge("corral_scheduler_nodes", "Nodes known.", ["state"])
WAITING = Gauge("corral_scheduler_waiting", "Instances that wait for a node.")
LONGEST_WAIT = Gauge("corral_scheduler_longest_wait_seconds", "Age of the oldest that waits.")
REFUSED = Gauge(
    "corral_scheduler_refused", "Instances that wait, by each filter that refuses them.", ["filter"]
)
FREE = Gauge(
    "corral_scheduler_free_capacity",
    "VMs that Active nodes have room for; of one virtual CPU where resources are counted.",
    ["arch"],
)
STARTS = Counter(
    "corral_scheduler_starts_total",
    "Attempts by how they ended: started, retried elsewhere, or failed for good.",
    ["outcome"],
)
START_SECONDS = Histogram(
    "corral_scheduler_start_seconds",
    "Parts of successful starts: waiting for a node, pulling, preparing, boot, script; and total.",
    ["phase"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600),
)

UNSENT = UNCONFIRMED.labels("scheduler")
STARTED, RETRIED, FAILED = (STARTS.labels(word) for word in ("started", "retried", "failed"))
_PHASES = {field: START_SECONDS.labels(field) for field in StartTimes.__struct_fields__}
_WAIT, _TOTAL = START_SECONDS.labels("waiting"), START_SECONDS.labels("total")


def start_succeeded(created: datetime, placed: datetime, now: datetime, took: StartTimes) -> None:
    """Count a start; phases that it did not have are not counted."""
    STARTED.inc()
    _WAIT.observe(max(0.0, (placed - created).total_seconds()))
    _TOTAL.observe(max(0.0, (now - created).total_seconds()))
    for phase, histogram in _PHASES.items():
        if seconds := getattr(took, phase):
            histogram.observe(seconds)


def leading(epoch: int) -> None:
    """The lease is ours."""
    LEADER.set(1)
    EPOCH.set(epoch)


def standing_by() -> None:
    """Somebody else knows better now."""
    for gauge in (LEADER, EPOCH, WAITING, LONGEST_WAIT, UNSENT):
        gauge.set(0)
    for gauge in (INSTANCES, NODES, REFUSED, FREE):
        gauge.clear()


def measure(world: World, now: datetime) -> None:
    """Set what is counted rather than kept; called about once a second."""
    states = Count(instance.status.state for instance in world.instances.values())
    for state in InstanceState:
        INSTANCES.labels(state.value).set(states[state])
    _measure_nodes(world)
    waiting = [instance for instance in world.instances.values() if instance.waiting]
    oldest = min((instance.created for instance in waiting), default=now)
    WAITING.set(len(waiting))
    LONGEST_WAIT.set(max(0.0, (now - oldest).total_seconds()))
    refusals = Count(reason.filter for one in waiting for reason in one.status.reasons)
    REFUSED.clear()
    for name, count in refusals.items():
        REFUSED.labels(name).set(count)


def _measure_nodes(world: World) -> None:
    nodes = world.cluster.nodes.values()
    states = Count(node.status.state for node in nodes)
    for state in NodeState:
        NODES.labels(state.value).set(states[state])
    free = Count({node.arch: 0 for node in nodes})
    for node in nodes:
        if node.status.state is NodeState.ACTIVE:
            free[node.arch] += max(0, node.room(1, 1))
    for arch, room in free.items():
        FREE.labels(arch).set(room)
