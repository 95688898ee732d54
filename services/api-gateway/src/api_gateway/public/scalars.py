"""How single values look on the wire."""

from datetime import datetime

from contracts.vms import ZERO_DATE

_ARCHITECTURES = {
    "amd64": "amd64",
    "arm64": "arm64",
    "x86_64": "amd64",
    "aarch64": "arm64",
}


def number(value: float) -> int | float:
    """Whole numbers without a fraction: Go's integer types refuse ``1.0``."""
    return int(value) if value == int(value) else value


def date(value: datetime | None) -> datetime | str:
    """RFC 3339; "never" is the zero date, not null and not empty."""
    return value or ZERO_DATE


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
