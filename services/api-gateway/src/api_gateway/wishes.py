"""What wishes write: the expressions behind the gateway's updates."""

from collections.abc import Mapping, Sequence
from typing import Any

from api_gateway.documents import NODES
from chassis.store.port import UpdateMany, Write, plain

GROWN = {"$inc": {"generation": 1}}
_EFFECTIVE = {"$ifNull": ["$spec.groups", "$status.groups", []]}


def wish(actor: str, request_id: str, sets: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a wish that somebody must act on."""
    named = {"actor": actor, "request_id": request_id} | dict(sets)
    return {f"spec.{name}": plain(value) for name, value in named.items()} | {"pending": True}


def clear_members(group_id: str, actor: str, request_id: str) -> Write:
    """Take every node out of a group that is being deleted."""
    return UpdateMany(
        collection=NODES,
        where=in_group(group_id),
        change=regrouping(without([group_id]), actor, request_id),
    )


def including(group_ids: Sequence[str]) -> dict[str, Any]:
    """The effective groups of a node and these, as an expression."""
    return {"$setUnion": [_EFFECTIVE, {"$literal": list(group_ids)}]}


def without(group_ids: Sequence[str]) -> dict[str, Any]:
    """The effective groups of a node but these, as an expression."""
    return {"$setDifference": [_EFFECTIVE, {"$literal": list(group_ids)}]}


def in_group(group_id: str) -> dict[str, Any]:
    """Nodes that are effectively in a group, as a filter."""
    return {"$or": [{"spec.groups": group_id}, {"spec.groups": None, "status.groups": group_id}]}


def regrouping(groups: Mapping[str, Any], actor: str, request_id: str) -> list[dict[str, Any]]:
    """Set the groups of a node by an expression, as an update."""
    stage = {name: {"$literal": value} for name, value in wish(actor, request_id, {}).items()}
    return [{"$set": stage | {"spec.groups": groups, "generation": {"$add": ["$generation", 1]}}}]
