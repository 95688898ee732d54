"""What agents say of their hosts, and of every attempt they know."""

from datetime import timedelta

from contracts.events import EventKind
from contracts.nodes import (
    NodeDocument,
    NodeHeartbeat,
    NodeHello,
    NodeSpec,
    NodeState,
    NodeStatus,
)
from contracts.vms import VmPhase, VmState
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Moment
from scheduler.domain.node import Claim, Node
from scheduler.domain.transitions import Cause
from scheduler.domain.world import World
from scheduler.handlers.images import repeat_push
from scheduler.handlers.reports import order_away
from scheduler.handlers.upgrades import back_again, upgrade_if_wished

MISSED = 2
"""Heartbeats in a row without an attempt before it counts as unknown to its node."""


def node_hello(world: World, hello: NodeHello, moment: Moment) -> None:
    """An agent joined or came back; one that just left is heard when its old record is gone."""
    if hello.node_id in world.leaving:
        return
    if hello.node_id not in world.cluster.nodes:
        _join(world, hello, moment)
    _heard(world, world.cluster.nodes[hello.node_id], hello, moment)
    node = world.cluster.nodes[hello.node_id]
    node.heartbeat = pace(world)
    back_again(world, node, moment)
    upgrade_if_wished(world, node, moment)
    world.orders.append(world.order.configure(node, moment.now))


def node_heartbeat(world: World, heartbeat: NodeHeartbeat, moment: Moment) -> None:
    """An agent is there."""
    node = world.cluster.nodes.get(heartbeat.node_id)
    if node is None and heartbeat.node_id in world.leaving:
        return
    if node is None:
        queue = heartbeat.queue or heartbeat.node_id
        world.orders.append(world.order.rejoin(heartbeat.node_id, queue, moment.now))
        return
    _heard(world, node, heartbeat, moment)


def pace(world: World) -> float:
    """Seconds between heartbeats, so that a large fleet does not drown the scheduler."""
    nodes = len(world.cluster.nodes)
    return max(world.limits.heartbeat, nodes / world.limits.heartbeats_per_second)


def _join(world: World, hello: NodeHello, moment: Moment) -> None:
    named = {group.name: group.id for group in world.cluster.groups.values()}
    groups = tuple(named[name] for name in hello.facts.groups if name in named)
    document = NodeDocument(
        id=hello.node_id,
        created=moment.now,
        spec=NodeSpec(),
        status=NodeStatus(
            facts=hello.facts,
            usage=hello.usage,
            groups=groups,
            joined=moment.now,
            changed=moment.now,
            last_seen=moment.now,
            observed_generation=1,
        ),
    )
    node = world.load_node(document, moment)
    node.happened(
        EventKind.NODE_JOINED, moment.now, {"node_id": node.id, "node_name": hello.facts.name}
    )
    world.touch_node(node, urgent=True, better=True)


def _heard(world: World, node: Node, heartbeat: NodeHello | NodeHeartbeat, moment: Moment) -> None:
    node.heard = moment.tick
    was_offline = not node.online
    if abs((moment.now - heartbeat.at).total_seconds()) <= world.limits.skew:
        _set_skewed(world, node, skewed=False)
    elif (heartbeat.at - moment.now).total_seconds() > world.limits.skew:
        _set_skewed(world, node, skewed=True)
    changed = node.update(
        moment.now, facts=heartbeat.facts, usage=heartbeat.usage, unmanaged=heartbeat.unknown
    )
    changed |= node.update(moment.now, state=_state(world, node))
    if was_offline:
        node.happened(EventKind.NODE_ONLINE, moment.now, {"node_id": node.id})
    if changed or was_offline:
        better = was_offline or changed != {"usage"}
        world.touch_node(node, urgent=better, better=better)
    if heartbeat.at >= node.said:  # one that was delivered again tells of the past
        node.said = heartbeat.at
        _compare(world, node, heartbeat, moment)


def _set_skewed(world: World, node: Node, *, skewed: bool) -> None:
    """A clock that is ahead is surely wrong; one that is behind may be a late heartbeat."""
    if node.skewed != skewed:
        node.skewed = skewed
        node.index_facts()
        world.cluster.touch(node, better=not skewed)


def _state(world: World, node: Node) -> NodeState:
    """Unhealthy: its capacity is full and none of its VMs runs (documented)."""
    state = node.state_now()
    held = world.on_node[node.id]
    if state is NodeState.ACTIVE and held and node.room(1, 1) <= 0:
        broken = all(i.status.vminfo and i.status.vminfo.status != "running" for i in held.values())
        return NodeState.UNHEALTHY if broken else state
    return state


def _compare(
    world: World, node: Node, heartbeat: NodeHello | NodeHeartbeat, moment: Moment
) -> None:
    """Hold what the node has against what it should have."""
    listed = {vm.instance_id for vm in heartbeat.vms if vm.phase is not VmPhase.GONE}
    world.macs.node_spoke(node.id, listed)
    listed = {vm.instance_id for vm in heartbeat.vms}
    strays: dict[str, Claim] = {}
    for vm in heartbeat.vms:
        instance = world.instances.get(vm.instance_id)
        if instance is not None and _is_current(instance, node, vm):
            if not _is_overtaken(instance, heartbeat):
                _known(world, instance, vm, heartbeat, moment)
        elif vm.phase is not VmPhase.GONE:
            strays[vm.instance_id] = Claim(
                vm.info.cpu_cores if vm.info else 1, vm.info.ram_mb if vm.info else 0
            )
            _stray(world, node, instance, vm, moment)
    if strays.keys() != node.strays.keys():
        node.strays = strays
        world.cluster.touch(node, better=True)
    for instance in list(world.on_node[node.id].values()):
        if instance.id not in listed and not _is_overtaken(instance, heartbeat):
            _missing(world, instance, heartbeat, moment)


def _is_current(instance: Instance, node: Node, vm: VmState) -> bool:
    status = instance.status
    return status.live and (status.node_id, status.attempt) == (node.id, vm.attempt)


def _is_overtaken(instance: Instance, heartbeat: NodeHello | NodeHeartbeat) -> bool:
    """Whether a report that the same node said later was heard already."""
    return instance.reported is not None and heartbeat.at < instance.reported


def _known(
    world: World,
    instance: Instance,
    vm: VmState,
    heartbeat: NodeHello | NodeHeartbeat,
    moment: Moment,
) -> None:
    """A line about the running attempt."""
    instance.missed = 0
    if instance.starting and instance.valid_until is not None:
        held = heartbeat.at + timedelta(seconds=world.limits.validity)
        instance.valid_until = max(instance.valid_until, held)
        instance.mark = ""
    if instance.unwanted and _may_repeat(world, instance, moment):
        world.order_stop(instance, moment)
    if instance.unwanted:
        return
    if _seen(instance, vm, moment):
        world.touch(instance)
    if instance.status.saving:
        repeat_push(world, instance, vm, heartbeat.at, moment)
        return
    if instance.status.script_due and vm.phase is VmPhase.RUNNING:
        if _may_repeat(world, instance, moment):
            world.order_script(instance, moment)
        return
    due = instance.spec.restarts > max(vm.restarts, instance.status.restarts)
    if due and not instance.starting and _may_repeat(world, instance, moment):
        instance.ordered_at = moment.now
        world.orders.append(world.order.reboot(instance, moment.now))


def _seen(instance: Instance, vm: VmState, moment: Moment) -> bool:
    """A VM that is saved runs, is suspended, or has been stopped: all that is Pushing."""
    match vm.phase:
        case VmPhase.RUNNING | VmPhase.SAVING | VmPhase.STOPPED if instance.status.saving:
            return instance.seen(Cause.SAVING, vm.info, moment.now)
        case VmPhase.RUNNING | VmPhase.SAVING:
            return instance.seen(Cause.RUNNING, vm.info, moment.now)
        case VmPhase.STOPPED:
            return instance.seen(Cause.STOPPED, vm.info, moment.now)
        case VmPhase.GONE:
            return instance.vanished('Unexpected VM state: "deleted"', moment.now)
        case VmPhase.PULLING:
            return instance.progress(Cause.PULLING, vm.progress, moment.now)
        case _:
            return False


def _stray(
    world: World, node: Node, instance: Instance | None, vm: VmState, moment: Moment
) -> None:
    """An attempt that is superseded, or of an instance that ended, is ordered away again."""
    if instance is None:
        if vm.instance_id in world.tombstones:
            order_away(world, vm.instance_id, vm.attempt, node.id, moment)
        return
    status = instance.status
    superseded = vm.attempt < status.attempt or (
        vm.attempt == status.attempt and (not status.live or status.node_id != node.id)
    )
    if not superseded:
        return
    order_away(world, vm.instance_id, vm.attempt, node.id, moment)
    instance.strays += 1
    if instance.strays == world.limits.unknown_reports:
        instance.stays(moment.now, node.id)
        world.touch(instance)


def _missing(
    world: World, instance: Instance, heartbeat: NodeHello | NodeHeartbeat, moment: Moment
) -> None:
    """Its node does not know the attempt: the order was lost, or the VM and its journal are."""
    sent = instance.ordered_at
    if sent is not None and heartbeat.at < sent + timedelta(seconds=world.limits.skew):
        return
    instance.missed += 1
    if instance.unwanted:
        world.order_stop(instance, moment)
    elif instance.starting:
        world.order_run(instance, moment)
    elif instance.missed >= MISSED and instance.vanished(
        "its node does not know the VM any more", moment.now
    ):
        world.touch(instance)


def _may_repeat(world: World, instance: Instance, moment: Moment) -> bool:
    last = instance.ordered_at
    return last is None or (moment.now - last).total_seconds() >= world.limits.resend
