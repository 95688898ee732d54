"""The body of ``POST`` and ``PUT /api/v1/pool``, read field by field."""

import re
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api_gateway.domain.fields import Fields, MissingField
from api_gateway.domain.start_request import MAX_COUNT, MAX_PRIORITY, read_overrides
from contracts.pools import DAYS, Shift

MAX_SHIFTS = 100
TIME = "([01][0-9]|2[0-3]):[0-5][0-9]|24:00"
"""A pattern of the whole text."""

_TIME = re.compile(TIME)


def read_pool(fields: Fields) -> dict[str, Any]:
    """The parts of a pool that are given, by their names in the document, or BadField."""
    texts = (("name", "name"), ("vmid", "template_id"))
    given: dict[str, Any] = {
        field: fields.required_text(name) for name, field in texts if name in fields
    }
    given |= {name: fields.text(name) for name in ("tag", "group_id") if name in fields}
    overrides = fields.object("overrides")
    chosen = {
        "size": fields.integer("size", 0, MAX_COUNT),
        "priority": fields.integer("priority", 1, MAX_PRIORITY),
        "overrides": None if overrides is None else read_overrides(overrides),
        "time_zone": _time_zone(fields),
        "schedule": _schedule(fields),
    }
    return given | {name: value for name, value in chosen.items() if value is not None}


def _schedule(fields: Fields) -> tuple[Shift, ...] | None:
    shifts = fields.objects("schedule")
    if shifts is None:
        return None
    if len(shifts) > MAX_SHIFTS:
        raise fields.bad("schedule", f"at most {MAX_SHIFTS} shifts")
    return tuple(map(_shift, shifts))


def _shift(shift: Fields) -> Shift:
    days = shift.texts("days")
    if not set(days) <= set(DAYS):
        raise shift.bad("days", f"some of {', '.join(DAYS)}")
    size = shift.integer("size", 0, MAX_COUNT)
    if size is None:
        raise MissingField(shift.path("size"))
    return Shift(days=days, begin=_minute(shift, "from"), end=_minute(shift, "to"), size=size)


def _minute(shift: Fields, name: str) -> int:
    text = shift.required_text(name)
    found = _TIME.fullmatch(text)
    if found is None:
        raise shift.bad(name, "a time such as 07:30")
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _time_zone(fields: Fields) -> str | None:
    name = fields.text("time_zone")
    if name is None:
        return None
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise fields.bad("time_zone", "the name of a time zone such as Europe/Berlin") from None
    return name
