"""The public pool."""

from collections.abc import Sequence

import msgspec

from contracts.instances import InstanceState, InstanceStatus
from contracts.pools import PoolDocument, Shift
from contracts.vms import Overrides


class PublicShift(msgspec.Struct, frozen=True, kw_only=True, rename={"begin": "from", "end": "to"}):
    """Times of day as ``HH:MM``."""

    days: tuple[str, ...]
    begin: str
    end: str
    size: int


class PublicPool(msgspec.Struct, frozen=True, kw_only=True):
    """``tag`` null is the latest.

    ``members``: VMs kept that nobody has claimed; ``ready`` of them can be claimed now.
    """

    id: str
    name: str
    vmid: str
    tag: str | None
    group_id: str | None
    size: int
    schedule: tuple[PublicShift, ...]
    time_zone: str
    priority: int
    overrides: Overrides
    members: int
    ready: int


def pool(document: PoolDocument, members: Sequence[InstanceStatus]) -> bytes:
    """The pool as the wire shows it, with what is kept for it."""
    return msgspec.json.encode(
        PublicPool(
            id=document.id,
            name=document.name,
            vmid=document.template_id,
            tag=document.tag,
            group_id=document.group_id,
            size=document.size,
            schedule=tuple(map(_shift, document.schedule)),
            time_zone=document.time_zone,
            priority=document.priority,
            overrides=document.overrides,
            members=len(members),
            ready=sum(status.state is InstanceState.STARTED for status in members),
        )
    )


def _shift(shift: Shift) -> PublicShift:
    return PublicShift(
        days=shift.days, begin=_time(shift.begin), end=_time(shift.end), size=shift.size
    )


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
