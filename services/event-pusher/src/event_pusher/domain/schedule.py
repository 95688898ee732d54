"""When a delivery that failed is tried again."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

RETRY_SECONDS: tuple[float, ...] = (
    1,
    5,
    30,
    120,
    600,
    1800,
    7200,
    18_000,
    36_000,
    50_400,
    72_000,
    86_400,
)
"""Pauses after the first, second, … failure: quick at first, three days in all."""

LONGEST_WISH = 86_400.0
"""A receiver's ``Retry-After`` counts up to this many seconds."""


def next_try(
    now: datetime,
    attempts: int,
    wish: float | None = None,
    pauses: tuple[float, ...] = RETRY_SECONDS,
) -> datetime | None:
    """When to try again after ``attempts`` failures; None when the schedule is used up.

    ``wish`` is the receiver's ``Retry-After`` in seconds: never earlier than that.
    """
    if attempts > len(pauses):
        return None
    return now + timedelta(seconds=max(pauses[attempts - 1], min(wish or 0.0, LONGEST_WISH)))


def wish_of(retry_after: str | None, now: datetime) -> float | None:
    """Seconds of a ``Retry-After`` header (a number or a date; RFC 9110); None when unreadable."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
