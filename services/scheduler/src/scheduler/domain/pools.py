"""How full a pool shall be, and what to do about it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from contracts.instances import InstanceSpec, InstanceState
from contracts.pools import DAYS, POOL_PRIORITY, PoolDocument, Shift
from contracts.templates import TemplateDocument, TemplateRef
from scheduler.domain.instance import Instance

_BROKEN = frozenset({InstanceState.ERROR, InstanceState.STOPPED})


class Filling(msgspec.Struct, frozen=True):
    """What brings the pools to their sizes: members to be made, members to be ended."""

    missing: tuple[InstanceSpec, ...]
    surplus: tuple[Instance, ...]


def fill(
    pools: Mapping[str, PoolDocument],
    templates: Mapping[str, TemplateDocument],
    members: Iterable[Instance],
    now: datetime,
    patience: float,
) -> Filling:
    """Compare the pools with their unclaimed members.

    A member that failed holds its place for ``patience`` seconds, so that a template that cannot
    start is not tried all the time.
    """
    by_pool: dict[str, list[Instance]] = {}
    for member in members:
        by_pool.setdefault(member.spec.pool_id or "", []).append(member)
    missing: list[InstanceSpec] = []
    surplus = [
        member for pool_id, held in by_pool.items() if pool_id not in pools for member in held
    ]
    for pool in pools.values():
        template = wanted_tag(pool, templates.get(pool.template_id))
        size = wished_size(pool, now) if template is not None else 0
        wished = member_spec(pool, template) if template is not None else None
        good, bad = _sorted(by_pool.get(pool.id, []), wished, now - timedelta(seconds=patience))
        surplus += [*bad, *good[size:]]
        if wished is not None:
            missing += [wished] * (size - len(good))
    return Filling(tuple(missing), tuple(surplus))


def wished_size(pool: PoolDocument, now: datetime) -> int:
    """The size by the schedule, on the clocks of the pool's time zone."""
    local = now.astimezone(_zone(pool.time_zone))
    for shift in pool.schedule:
        if _covers(shift, local):
            return shift.size
    return pool.size


def wanted_tag(pool: PoolDocument, template: TemplateDocument | None) -> TemplateRef | None:
    """The tag that members have now; None when there is none such."""
    for version in reversed(template.versions if template else ()):
        if template is not None and pool.tag in {None, version.tag}:
            return template.ref(version)
    return None


def member_spec(pool: PoolDocument, template: TemplateRef) -> InstanceSpec:
    """What a member is made of."""
    return InstanceSpec(
        template=template,
        registry=pool.registry,
        group_id=pool.group_id,
        priority=pool.priority or POOL_PRIORITY,
        overrides=pool.overrides,
        pool_id=pool.id,
    )


def _sorted(
    members: Iterable[Instance], wished: InstanceSpec | None, failed_before: datetime
) -> tuple[list[Instance], list[Instance]]:
    """Those that serve, the readiest and oldest first, and those that do not."""
    good: list[Instance] = []
    bad: list[Instance] = []
    for member in members:
        status = member.status
        broken = status.state in _BROKEN and status.changed <= failed_before
        (good if not broken and _serves(member.spec, wished) else bad).append(member)
    good.sort(key=lambda m: (m.status.state is not InstanceState.STARTED, m.created, m.id))
    return good, bad


def _serves(spec: InstanceSpec, wished: InstanceSpec | None) -> bool:
    """Whether a member is what the pool would make today."""
    return wished is not None and (spec.template.digest, spec.group_id, spec.overrides) == (
        wished.template.digest,
        wished.group_id,
        wished.overrides,
    )


def _covers(shift: Shift, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
    if shift.begin < shift.end:
        return today in shift.days and shift.begin <= minute < shift.end
    return (today in shift.days and minute >= shift.begin) or (
        yesterday in shift.days and minute < shift.end
    )


def _zone(name: str) -> tzinfo:
    """A zone that this machine does not know counts as UTC; the gateway takes none such."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
