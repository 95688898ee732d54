"""The public node group."""

import msgspec

from contracts.groups import GroupDocument, Quota


class PublicGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Strings are always there; only the fallback is null when unset. ``quota`` is ours."""

    id: str
    name: str
    description: str
    fallback_group_id: str | None
    quota: Quota | msgspec.UnsetType = msgspec.UNSET


def public_group(document: GroupDocument) -> PublicGroup:
    """The group as the wire shows it."""
    return PublicGroup(
        id=document.id,
        name=document.name,
        description=document.description,
        fallback_group_id=document.fallback_group_id,
        quota=document.quota or msgspec.UNSET,
    )


def group(document: GroupDocument) -> bytes:
    """The same, encoded."""
    return msgspec.json.encode(public_group(document))
