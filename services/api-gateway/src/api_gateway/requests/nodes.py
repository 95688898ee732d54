"""Requests about nodes and their groups."""

from typing import Annotated

import msgspec

from api_gateway.requests.values import Ids, PageQuery, Text, Whole
from contracts.nodes import CapacityMode, NodeState


class NodeQuery(PageQuery, kw_only=True):
    """One node, or filters of the list (ours)."""

    id: str | None = None
    state: tuple[NodeState, ...] = ()
    group: Annotated[tuple[str, ...], msgspec.Meta(description="Id or name.")] = ()
    group_id: tuple[str, ...] = ()
    name: tuple[str, ...] = ()


class NodeConfiguration(msgspec.Struct, kw_only=True):
    """What is not given stays."""

    node_id: Text
    max_vm_count: Whole | None = None
    name: str | None = None
    host: str | None = None
    capacity_mode: CapacityMode | None = None
    vcpu_override: Whole | None = None
    ram_override: Annotated[Whole, msgspec.Meta(description="GiB.")] | None = None
    drain_mode: bool | None = None
    disable_central_logging: bool | None = None


class NodeNamed(msgspec.Struct, kw_only=True):
    """Names a node."""

    node_id: Text


class Membership(msgspec.Struct, kw_only=True):
    """Every id counts."""

    group_ids: Ids
    node_ids: Ids


class QuotaRequest(msgspec.Struct, kw_only=True):
    """Limits for what was asked for in the group; without any there is no quota."""

    instances: Whole | None = None
    vcpus: Whole | None = None


class GroupChanges(msgspec.Struct, kw_only=True):
    """What is not given stays. ``quota`` is ours."""

    name: Text | None = None
    description: str | None = None
    fallback_group_id: (
        Annotated[str, msgspec.Meta(description="Takes what it has no room for; empty: none.")]
        | None
    ) = None
    quota: QuotaRequest | None = None


class NewGroup(GroupChanges, kw_only=True):
    """A node group."""

    name: Text
