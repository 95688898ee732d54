"""Node groups: effective membership, and chains of fallbacks."""

from collections.abc import Mapping

from contracts.groups import GroupDocument
from contracts.nodes import NodeSpec, NodeStatus


def groups_of(spec: NodeSpec, status: NodeStatus) -> tuple[str, ...]:
    """Ids of the groups a node is in: as set through the API, else as it joined."""
    return status.groups if spec.groups is None else spec.groups


def makes_cycle(groups: Mapping[str, GroupDocument], group_id: str, fallback_id: str) -> bool:
    """Whether following fallbacks from ``fallback_id`` leads back to ``group_id``."""
    seen: set[str] = set()
    step: str | None = fallback_id
    while step is not None and step not in seen:
        if step == group_id:
            return True
        seen.add(step)
        group = groups.get(step)
        step = group.fallback_group_id if group else None
    return False
