"""How strictly a value is read by the strictest client of a field."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

Form = Callable[[Any], bool]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_LARGEST = 1 << 64


def text(value: Any) -> bool:
    """A string, perhaps empty."""
    return isinstance(value, str)


def filled(value: Any) -> bool:
    """A string that says something."""
    return text(value) and value != ""


def text_or_null(value: Any) -> bool:
    """A string, or null where nothing was set."""
    return value is None or text(value)


def moment(value: Any) -> bool:
    """RFC 3339 with a zone, which Go's time.Time reads."""
    return (
        text(value)
        and _MOMENT.fullmatch(value) is not None
        and datetime.fromisoformat(value).tzinfo is not None
    )


def count(value: Any) -> bool:
    """What Go reads into an unsigned integer."""
    return type(value) is int and 0 <= value < _LARGEST


def fraction(value: Any) -> bool:
    """Between 0 and 1; whole values are written as integers, which Go's int reads too."""
    whole = type(value) is int
    return (whole and value in (0, 1)) or (type(value) is float and 0 < value < 1)


def array(value: Any) -> bool:
    """An array, never null."""
    return isinstance(value, list)


def mapping(value: Any) -> bool:
    """An object, never null."""
    return isinstance(value, dict)


def one_of(*words: str) -> Form:
    """Exactly one of these."""
    return lambda value: value in words


architecture = one_of("amd64", "arm64")
