"""Patterns that chance keeps to when it makes what is right.

The description's own allow some texts that are refused for what no pattern says: a host that is
none, the 30th of February, a disk of an exabyte.
"""

from typing import Any

from api_gateway.domain.fields import DIGITS
from api_gateway.domain.http_url import HTTP_URL
from api_gateway.domain.idempotency import KEY
from api_gateway.domain.moments import MOMENT
from api_gateway.domain.start_request import SIZE
from api_gateway.requests.values import entire, entire_or_empty

_NARROWER = {
    DIGITS: "[1-9][0-9]{0,3}",
    HTTP_URL: "[Hh]ttps?://[a-z0-9][a-z0-9.-]{0,60}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9/._?=&-]*)?",
    KEY: "[!-~]+",
    MOMENT: (
        "[0-9]{1,10}|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
        "[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?"
        "([Zz]|[+-](0[0-9]|1[0-9]):?[0-5][0-9])"
    ),
    SIZE: "[1-9][0-9]{0,5}[TGMK]",
}
_PATTERNS = {
    form(pattern): form(narrower)
    for pattern, narrower in _NARROWER.items()
    for form in (entire, entire_or_empty)
}


def narrowed(described: Any) -> Any:
    """The description with those patterns instead."""
    if isinstance(described, list):
        return [narrowed(item) for item in described]
    if not isinstance(described, dict):
        return described
    found = {name: narrowed(value) for name, value in described.items()}
    if isinstance(pattern := found.get("pattern"), str):
        found["pattern"] = _PATTERNS.get(pattern, pattern)
    return found
