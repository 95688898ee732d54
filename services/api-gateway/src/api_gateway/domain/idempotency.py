"""The key that makes a repeated request known."""

import re

from api_gateway.domain.fields import BadField

KEY_HEADER = "Idempotency-Key"
LONGEST_KEY = 255
KEY = "[^\\u0000-\\u001f\\u007f]+"
"""A pattern of the whole text; other characters that cannot be printed are refused besides."""

_KEY = re.compile(KEY)


def check_key(key: str) -> None:
    """Raise BadField unless it is one."""
    if not (_KEY.fullmatch(key) and len(key) <= LONGEST_KEY and key.isprintable()):
        raise BadField(KEY_HEADER, f"1 to {LONGEST_KEY} printable characters")
