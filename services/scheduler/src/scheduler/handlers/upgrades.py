"""Upgrades of agents: wished, ordered from nodes that are there, and ended in any case."""

from datetime import timedelta

from contracts.nodes import AgentNotUpgraded
from scheduler.domain.limits import Moment
from scheduler.domain.node import Node
from scheduler.domain.world import World

_TOO_LATE = "the agent did not come back in time"


def upgrade_if_wished(world: World, node: Node, moment: Moment) -> None:
    """Order what was wished and not dealt with; a node that is away is told when it is back."""
    if node.spec.upgrades <= node.status.upgrades or not node.online:
        return
    if _release(node.status.facts.agent_version) == _release(node.spec.upgrade_to):
        node.end_upgrade("", moment.now)
    else:
        until = moment.now + timedelta(seconds=world.limits.upgrade)
        node.begin_upgrade(until, moment.now)
        world.orders.append(world.order.upgrade(node, moment.now))
    world.touch_node(node, urgent=True, better=False)


def back_again(world: World, node: Node, moment: Moment) -> None:
    """Its agent said hello: whatever it is now, the upgrade is over."""
    if node.status.upgrading_until is not None:
        _end(world, node, "", moment)


def agent_not_upgraded(world: World, report: AgentNotUpgraded, moment: Moment) -> None:
    """An agent could not do it."""
    node = world.cluster.nodes.get(report.node_id)
    if node is None or node.status.upgrading_until is None:
        return
    if report.version == node.spec.upgrade_to:
        _end(world, node, report.error, moment)


def end_overdue_upgrades(world: World, moment: Moment) -> None:
    """No node is Updating for ever."""
    for node in world.cluster.nodes.values():
        until = node.status.upgrading_until
        if until is not None and moment.now > until:
            _end(world, node, _TOO_LATE, moment)


def _end(world: World, node: Node, error: str, moment: Moment) -> None:
    node.end_upgrade(error, moment.now)
    world.touch_node(node, urgent=True, better=True)


def _release(version: str) -> str:
    """What stands before the hash."""
    return version.partition("-")[0]
