"""What time alone brings about: silence, deadlines, the end of a record's stay."""

import uuid
from datetime import timedelta

from contracts.events import EventKind
from contracts.instances import InstanceState
from contracts.nodes import NodeState
from contracts.vms import ReportsMarked
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Moment
from scheduler.domain.world import World
from scheduler.handlers.heartbeats import pace
from scheduler.handlers.images import end_overdue
from scheduler.handlers.upgrades import end_overdue_upgrades


def tick(world: World, moment: Moment) -> None:
    """Look at every clock once; called about once a second."""
    _silence(world, moment)
    _under_way(world, moment)
    if world.limits.ageing:
        world.waiting.age(moment.now - timedelta(seconds=world.limits.ageing))
    end_overdue(world, moment)
    end_overdue_upgrades(world, moment)
    _expired(world, moment)
    _ended(world, moment)


def _silence(world: World, moment: Moment) -> None:
    """A silent node is Offline; its running VMs are in Error until it speaks again."""
    limit = world.limits.offline
    for node in world.cluster.nodes.values():
        if not node.online or moment.tick - node.heard <= max(limit, 3 * pace(world)):
            continue
        node.update(moment.now, state=NodeState.OFFLINE)
        node.happened(EventKind.NODE_OFFLINE, moment.now, {"node_id": node.id})
        world.touch_node(node, urgent=True, better=False)
        for instance in list(world.on_node[node.id].values()):
            if instance.lost(moment.now):
                world.touch(instance)


def _under_way(world: World, moment: Moment) -> None:
    expired: list[Instance] = []
    for instance in list(world.under_way.values()):
        if instance.status.state is InstanceState.TERMINATING:
            _forsaken(world, instance, moment)
        elif instance.starting:
            _overdue(world, instance, moment)
            if _silent_attempt(world, instance, moment):
                expired.append(instance)
    if expired:
        mark = uuid.uuid4().hex
        for instance in expired:
            instance.mark = mark
        world.facts.append(ReportsMarked(mark=mark))


def _forsaken(world: World, instance: Instance, moment: Moment) -> None:
    """A node that is away cannot confirm an end: the record ends, the VM when the node returns."""
    node = world.cluster.nodes.get(instance.status.node_id)
    waited = (moment.now - instance.status.changed).total_seconds()
    away = node is None or not node.online
    if (
        away
        and waited > world.limits.offline
        and instance.gone(
            moment.now,
            "its node is not communicating; the VM is removed when it returns",
            forsaken=True,
        )
    ):
        world.touch(instance)


def _overdue(world: World, instance: Instance, moment: Moment) -> None:
    """An attempt that takes too long is ordered away; it is tried elsewhere when gone."""
    deadline = instance.status.deadline
    if deadline is not None and moment.now > deadline and not instance.status.giving_up:
        instance.give_up(moment.now)
        world.touch(instance)
        world.order_stop(instance, moment)


def _silent_attempt(world: World, instance: Instance, moment: Moment) -> bool:
    """Whether no VM of the attempt can be left, and nobody speaks for it."""
    node = world.cluster.nodes.get(instance.status.node_id)
    if instance.mark or instance.valid_until is None or (node is not None and node.online):
        return False
    return (moment.now - instance.valid_until).total_seconds() > world.limits.skew


def _expired(world: World, moment: Moment) -> None:
    """Time to live counts from Started; instances that never were wait as long as they must."""
    for instance in list(world.mortal.values()):
        expiry = instance.expiry
        if expiry is None or moment.now < expiry or not instance.expire(moment.now):
            continue
        world.touch(instance)
        if instance.status.live:
            world.order_stop(instance, moment)


def _ended(world: World, moment: Moment) -> None:
    """Ended records stay a minute, then go; never before their events are said."""
    for instance in list(world.ended.values()):
        ended = instance.status.ended
        assert ended is not None
        stayed = (moment.now - ended).total_seconds()
        if stayed >= world.limits.keep and not instance.unsaid:
            world.remove(instance)
    for node in list(world.leaving.values()):
        if not node.unsaid:
            world.remove_node(node)
