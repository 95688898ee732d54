"""Node groups: all wish, no world; the gateway owns them."""

import msgspec

from contracts.documents import Said
from contracts.messages import Fact


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What instances asked for in a group may hold together; None is no limit."""

    instances: int | None = None
    vcpus: int | None = None


class GroupDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node group as stored in ``groups``; its fallback takes what it has no room for."""

    id: str = msgspec.field(name="_id")
    generation: int = 1
    name: str
    description: str = ""
    fallback_group_id: str | None = None
    quota: Quota | None = None
    outbox: tuple[Said, ...] = ()


class GroupChanged(Fact, frozen=True, kw_only=True, tag="group.changed.v1"):
    """A group was created or updated."""

    group: GroupDocument


class GroupRemoved(Fact, frozen=True, kw_only=True, tag="group.removed.v1"):
    """A group is gone; its nodes stay."""

    group_id: str
