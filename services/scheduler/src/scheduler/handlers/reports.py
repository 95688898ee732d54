"""What agents say of single attempts."""

import structlog

from chassis import tracing
from contracts.scripts import VmScripted
from contracts.vms import (
    ReportsMarked,
    VmFailed,
    VmGone,
    VmPhase,
    VmProgress,
    VmRefused,
    VmReport,
    VmRestarted,
    VmStarted,
)
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Moment
from scheduler.domain.transitions import Cause
from scheduler.domain.world import World
from scheduler.telemetry import FAILED, RETRIED, start_succeeded

_log = structlog.get_logger()


def vm_progress(world: World, report: VmProgress, moment: Moment) -> None:
    """An attempt pulls or prepares."""
    instance = current(world, report, moment)
    if instance is None:
        return
    cause = Cause.PULLING if report.phase is VmPhase.PULLING else Cause.PREPARING
    if instance.progress(cause, report.progress, moment.now):
        world.touch(instance)


def vm_started(world: World, report: VmStarted, moment: Moment) -> None:
    """An attempt succeeded, unless it is not wanted any more."""
    instance = current(world, report, moment)
    if instance is None:
        return
    if instance.unwanted:
        world.order_stop(instance, moment)
    else:
        _started(world, instance, report, moment)


def vm_failed(world: World, report: VmFailed, moment: Moment) -> None:
    """An attempt failed: for good, or to be tried elsewhere."""
    instance = current(world, report, moment)
    if instance is None:
        return
    _log.warning(
        "instance.attempt_failed",
        instance=instance.id,
        node=report.node_id,
        attempt=report.attempt,
        request_id=instance.spec.start_request_id,
        reason=report.message,
        final=report.final,
        **tracing.log_ids(instance.spec.trace),
    )
    if instance.ending:
        world.order_stop(instance, moment)
    elif report.final or report.vm_left or not instance.starting:
        first = instance.unannounced
        if instance.fail(
            report.message,
            moment.now,
            vm_left=report.vm_left,
            info=report.info,
            script=report.script_result,
            logs=report.logs,
        ):
            world.touch(instance)
            FAILED.inc(int(first))
    else:
        attempt_failed(world, instance, report.message, moment, report.logs)


def vm_gone(world: World, report: VmGone, moment: Moment) -> None:
    """No VM of an instance is left on a node."""
    instance = world.instances.get(report.instance_id)
    if instance is None:
        return
    status = instance.status
    if node := world.cluster.nodes.get(report.node_id):
        node.strays.pop(instance.id, None)
        world.cluster.touch(node, better=True)
    if report.node_id == status.node_id and instance.cleared(moment.now):
        world.touch(instance)
    if not status.live or report.node_id != status.node_id or report.attempt < status.attempt:
        return
    if instance.gone(moment.now):
        world.touch(instance)
    elif instance.starting:
        reason = "the start took too long" if status.giving_up else "the VM was removed"
        attempt_failed(world, instance, reason, moment)
    elif instance.vanished("the VM was removed from its node", moment.now):
        world.touch(instance)


def vm_refused(world: World, report: VmRefused, moment: Moment) -> None:
    """An agent knows newer orders than ours: number the next attempt above what it knows."""
    instance = current(world, report, moment)
    if instance is None or report.known_attempt <= instance.status.attempt:
        return
    instance.raise_attempt(report.known_attempt, moment.now)
    if instance.starting:
        attempt_failed(world, instance, "the node knows a newer attempt", moment)
    else:
        world.touch(instance)


def vm_restarted(world: World, report: VmRestarted, moment: Moment) -> None:
    """A wished restart was carried out, or failed."""
    instance = current(world, report, moment)
    if instance and instance.restarted(report.number, report.info, report.error, moment.now):
        world.touch(instance)


def vm_scripted(world: World, report: VmScripted, moment: Moment) -> None:
    """The script that a claim has brought is over."""
    instance = current(world, report, moment)
    if instance and instance.scripted(report.info, report.script_result, moment.now):
        world.touch(instance)


def reports_marked(world: World, mark: ReportsMarked, moment: Moment) -> None:
    """All reports confirmed before the mark are heard: what stayed silent is tried elsewhere."""
    for instance in [i for i in world.under_way.values() if i.mark == mark.mark]:
        instance.mark = ""
        if instance.starting and _expired(world, instance, moment):
            attempt_failed(world, instance, "its node went silent", moment)


def attempt_failed(
    world: World, instance: Instance, failure: str, moment: Moment, logs: tuple[str, ...] = ()
) -> None:
    """Try elsewhere, or give up when enough was tried."""
    if len(instance.status.attempts) >= world.limits.attempts:
        instance.fail(failure, moment.now, vm_left=False, logs=logs)
        FAILED.inc()
    else:
        instance.retry(failure, moment.now, logs)
        RETRIED.inc()
    world.touch(instance)


def current(world: World, report: VmReport, moment: Moment) -> Instance | None:
    """The instance, when the report is about its running attempt; else its VM is ordered away.

    Only VMs of instances that this database knows, now or as ended, are ordered away.
    """
    instance = world.instances.get(report.instance_id)
    if instance is not None:
        status = instance.status
        if status.live and (status.node_id, status.attempt) == (report.node_id, report.attempt):
            instance.reported = max(instance.reported or report.at, report.at)
            return instance
        if report.attempt > status.attempt:
            return None
    elif report.instance_id not in world.tombstones:
        return None
    order_away(world, report.instance_id, report.attempt, report.node_id, moment)
    return None


def order_away(world: World, instance_id: str, attempt: int, node_id: str, moment: Moment) -> None:
    """Stop an attempt that is superseded or whose instance has ended."""
    node = world.cluster.nodes.get(node_id)
    queue = node.queue if node else node_id
    world.orders.append(world.order.stop(instance_id, attempt, node_id, queue, moment.now))


def _started(world: World, instance: Instance, report: VmStarted, moment: Moment) -> None:
    first = not instance.status.was_started
    if instance.started(report.info, report.script_result, moment.now):
        world.touch(instance)
        if first:
            placed = instance.status.attempts[-1].placed
            start_succeeded(instance.created, placed, moment.now, report.took)


def _expired(world: World, instance: Instance, moment: Moment) -> bool:
    until = instance.valid_until
    return until is None or (moment.now - until).total_seconds() > world.limits.skew
