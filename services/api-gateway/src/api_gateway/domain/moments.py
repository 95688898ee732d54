"""Points in time as people write them."""

from datetime import UTC, datetime

import msgspec

from api_gateway.domain.fields import BadField


def moment_of(name: str, text: str | None) -> datetime | None:
    """RFC 3339 with an offset, or whole epoch seconds; None stays None. BadField names ``name``."""
    if text is None:
        return None
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        moment = msgspec.convert(text, datetime)
    except (msgspec.ValidationError, ValueError, OverflowError, OSError):
        raise BadField(name, "a time such as 2026-01-31T12:00:00Z, or epoch seconds") from None
    if moment.tzinfo is None:
        raise BadField(name, "a time with an offset, such as 2026-01-31T12:00:00Z")
    return moment
