"""Which start requests a pool can serve, and what a claim makes of a member."""

from datetime import datetime
from typing import Any

import msgspec

from contracts.instances import InstanceSpec

_STAYS = "restarts"


def claimable(spec: InstanceSpec) -> bool:
    """Whether a VM that runs already can be what is asked for.

    It has its node and its name already.
    """
    placed_by = spec.node_id or spec.permission_group
    return placed_by is None and not spec.name_template


def serves(member: InstanceSpec, wish: InstanceSpec) -> bool:
    """Whether this member is what would be started; a wish without a group takes any."""
    return (
        member.template.digest == wish.template.digest
        and member.overrides == wish.overrides
        and wish.group_id in {None, member.group_id}
    )


def claimed(wish: InstanceSpec, now: datetime) -> dict[str, Any]:
    """The change that gives a member the wish of a request, field by field."""
    after = msgspec.structs.replace(wish, claimed=now)
    sets = msgspec.to_builtins(after, builtin_types=(datetime, bytes))
    unset = [name for name in InstanceSpec.__struct_fields__ if name not in {*sets, _STAYS}]
    return {
        "$set": {f"spec.{name}": value for name, value in sets.items()} | {"pending": True},
        "$unset": {f"spec.{name}": "" for name in unset},
        "$inc": {"generation": 1},
    }
