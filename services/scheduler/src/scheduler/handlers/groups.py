"""Node groups as the gateways tell them; a loop reads them as well, should a message be lost."""

from contracts.groups import GroupChanged, GroupDocument, GroupRemoved
from scheduler.domain.limits import Moment
from scheduler.domain.world import World


def group_changed(world: World, message: GroupChanged, moment: Moment) -> None:
    """Its fallback or its quota may let somebody go who waits."""
    group = message.group
    known = world.cluster.groups.get(group.id)
    if known is None or known.generation < group.generation:
        learn_groups(world, world.cluster.groups | {group.id: group}, moment)


def group_removed(world: World, message: GroupRemoved, moment: Moment) -> None:
    """Nobody falls back to it any more."""
    groups = dict(world.cluster.groups)
    if groups.pop(message.group_id, None) is not None:
        learn_groups(world, groups, moment)


def learn_groups(world: World, groups: dict[str, GroupDocument], moment: Moment) -> None:
    """These are all groups now; who asked for one of them before it was known gets it."""
    new = {
        group.name: group.id for group in groups.values() if group.id not in world.cluster.groups
    }
    world.cluster.groups = groups
    if new:
        _add_nodes(world, new, moment)
    world.waiting.wake_all()


def _add_nodes(world: World, new: dict[str, str], moment: Moment) -> None:
    """A node names its groups when it joins; from the first wish of an operator on that counts."""
    for node in world.cluster.nodes.values():
        if not node.online or node.spec.groups is not None:
            continue
        asked = (new[name] for name in node.status.facts.groups if name in new)
        missing = tuple(group_id for group_id in asked if group_id not in node.status.groups)
        if missing:
            node.update(moment.now, groups=node.status.groups + missing)
            world.touch_node(node, urgent=True, better=True)
