"""Which part of a list is asked for."""

import base64
import binascii
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from api_gateway.domain.fields import BadField

T = TypeVar("T")

Given: TypeAlias = Callable[[str], tuple[str, ...]]
"""What a query says under a name: each value, empty ones left out."""

Key: TypeAlias = Callable[[T], tuple[int, str]]
"""An element's place in its list: a number, then its id."""

MAX_LIMIT = 10_000
MAX_EVENTS = 1000
"""As many on one page of the event log."""

MAX_SEQUENCE = 2**53
"""Of an event: JSON numbers are exact up to there, whatever reads them."""

ORDERS = ("asc", "desc")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``limit`` elements, those behind ``after``; None stands for all."""

    limit: int | None = None
    after: tuple[int, str] | None = None

    @property
    def whole(self) -> bool:
        """Whether it is the whole list."""
        return self.limit is None and self.after is None


def read_page(given: Given) -> Page:
    """From ``limit`` and ``after``. BadField."""
    limit = last(given, "limit")
    after = last(given, "after")
    return Page(
        limit=None if limit is None else whole_number("limit", limit, 1, MAX_LIMIT),
        after=None if after is None else _place(after),
    )


def cursor_of(place: tuple[int, str]) -> str:
    """A place in a list as ``after`` takes it; nobody but us reads it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def last(given: Given, name: str) -> str | None:
    """The one value of a parameter that makes sense once; None when it is not given."""
    values = given(name)
    return values[-1] if values else None


def whole_number(name: str, text: str, low: int, high: int) -> int:
    """A number from a query. BadField."""
    if not (text.isascii() and text.isdecimal() and len(text) < len(str(high)) + 2):
        raise BadField(name, f"a whole number from {low} to {high}")
    number = int(text)
    if not low <= number <= high:
        raise BadField(name, f"a whole number from {low} to {high}")
    return number


def _place(cursor: str) -> tuple[int, str]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=tuple[int, str])
    except (binascii.Error, ValueError):
        raise BadField("after", "a cursor as a list gave it") from None
