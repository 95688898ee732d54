"""How single values look on the wire."""

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""A date of the wire: RFC 3339."""

_NEVER = datetime(1, 1, 1, tzinfo=UTC)

SCHEMAS = "#/components/schemas/"
"""Where the API's description keeps the types."""

_ARCHITECTURES = {
    "amd64": "amd64",
    "arm64": "arm64",
    "x86_64": "amd64",
    "aarch64": "arm64",
}


def number(value: float) -> int | float:
    """Whole numbers without a fraction: Go's integer types refuse ``1.0``."""
    return int(value) if value == int(value) else value


def date(value: datetime | None) -> datetime:
    """RFC 3339; "never" is the zero date, not null and not empty."""
    return value or _NEVER


def epoch(value: datetime | None) -> int:
    """Whole seconds; 0 for never."""
    return int(value.timestamp()) if value else 0


def ram(mib: int) -> str:
    """Memory as ``4G`` or ``512M``: a string, since Go clients refuse a number there."""
    if mib and mib % 1024 == 0:
        return f"{mib // 1024}G"
    return f"{mib}M"


def architecture(value: str) -> str:
    """``amd64``, ``arm64`` or empty: the Prometheus exporter dies of any other word."""
    return _ARCHITECTURES.get(value, "")
