"""Points in time as people write them."""

import re
from datetime import UTC, datetime

import msgspec

from api_gateway.domain.fields import BadField

MOMENT = (
    "[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?"
    "([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)
"""A pattern of the whole text; that there is such a day and hour is looked at besides."""

_MOMENT = re.compile(MOMENT)


def moment_of(name: str, text: str | None) -> datetime | None:
    """RFC 3339 with an offset, or whole epoch seconds; None stays None. BadField names ``name``."""
    if text is None:
        return None
    try:
        if text.isascii() and text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        moment = msgspec.convert(text, datetime)
    except (msgspec.ValidationError, ValueError, OverflowError, OSError):
        raise BadField(name, "a time such as 2026-01-31T12:00:00Z, or epoch seconds") from None
    if not _MOMENT.fullmatch(text):
        raise BadField(name, "a time with an offset, such as 2026-01-31T12:00:00Z")
    return moment
