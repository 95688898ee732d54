"""Base64 as Go's ``encoding/base64`` takes it: its error counts bytes, and the wire shows that.

Line breaks are skipped, padding is required, bits left over are not looked at.
"""

import base64
import re

_FOREIGN = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_NO_BREAK = re.compile(rb"[^\r\n]|\Z")
_BREAKS = b"\r\n"
_GROUP = 4
_FEWEST = 2
"""Letters that a padded group has at least: fewer are no byte."""


class CorruptInput(ValueError):
    """The text is no base64; ``offset`` is where, in bytes of UTF-8 from 0."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"illegal base64 data at input byte {offset}")
        self.offset = offset


def decode(text: str) -> bytes:
    """What ``text`` means; CorruptInput."""
    raw = text.encode()
    corrupt = _corrupt_byte(raw)
    if corrupt is not None:
        raise CorruptInput(corrupt)
    return base64.b64decode(raw.translate(None, _BREAKS))


def _corrupt_byte(raw: bytes) -> int | None:
    foreign = _FOREIGN.search(raw)
    at = foreign.start() if foreign else len(raw)
    letters = len(raw[:at].translate(None, _BREAKS)) % _GROUP
    if foreign is None:
        return at - letters if letters else None
    if foreign[0] != b"=" or letters < _FEWEST:
        return at
    end = _past_breaks(raw, at + 1)
    if letters == _FEWEST:
        if end == len(raw):
            return end
        if raw[end : end + 1] != b"=":
            return end - 1
        end = _past_breaks(raw, end + 1)
    return None if end == len(raw) else end


def _past_breaks(raw: bytes, start: int) -> int:
    found = _NO_BREAK.search(raw, start)
    return found.start() if found else len(raw)
