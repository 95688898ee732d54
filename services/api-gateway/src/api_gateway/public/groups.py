"""The public node group."""

import msgspec

from contracts.groups import GroupDocument


class PublicGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Strings are always there; only the fallback is null when unset."""

    id: str
    name: str
    description: str
    fallback_group_id: str | None


def public_group(document: GroupDocument) -> PublicGroup:
    """The group as the wire shows it."""
    return PublicGroup(
        id=document.id,
        name=document.name,
        description=document.description,
        fallback_group_id=document.fallback_group_id,
    )


def group(document: GroupDocument) -> bytes:
    """The same, encoded."""
    return msgspec.json.encode(public_group(document))
