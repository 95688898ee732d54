"""Node groups as the gateways tell them; a loop reads them as well, should a message be lost."""

from contracts.groups import GroupChanged, GroupRemoved
from scheduler.domain.limits import Moment
from scheduler.domain.world import World


def group_changed(world: World, message: GroupChanged, _moment: Moment) -> None:
    """Its fallback or its quota may let somebody go who waits."""
    group = message.group
    known = world.cluster.groups.get(group.id)
    if known is None or known.generation < group.generation:
        world.cluster.groups = world.cluster.groups | {group.id: group}
        world.waiting.wake_all()


def group_removed(world: World, message: GroupRemoved, _moment: Moment) -> None:
    """Nobody falls back to it any more."""
    groups = dict(world.cluster.groups)
    if groups.pop(message.group_id, None) is not None:
        world.cluster.groups = groups
        world.waiting.wake_all()
