"""Reading a JSON object that strangers sent: each field is what it should be, or is named.

Rules of the wire: the body is JSON under any content type, in UTF-8 or else Latin-1; null is the
same as absent; unknown fields are ignored; whole floats are integers.
"""

import base64
import binascii
import re
from typing import Any

import msgspec

MAX_INTEGER = 2**31 - 1
DIGITS = "[+-]?[0-9]{1,18}"
"""A pattern of the whole text: a number written as a string."""

_GAP = r"[ \t\r\n]*"
_LETTER = f"([A-Za-z0-9+/]{_GAP})"
BASE64 = f"{_GAP}({_LETTER}{{4}})*({_LETTER}{{2}}={_GAP}={_GAP}|{_LETTER}{{3}}={_GAP})?"
"""A pattern of the whole text: what ``Fields.base64`` takes."""

_BOM = b"\xef\xbb\xbf"
_DIGITS = re.compile(DIGITS)
_BLANKS = b" \t\r\n"


class BadField(ValueError):
    """A field is not what it should be; the text names the field and what was expected."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")


class MissingField(BadField):
    """A required field is not there."""

    def __init__(self, field: str) -> None:
        ValueError.__init__(self, f"{field}: required field is missing")


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a request's body; raises BadField when it is none."""
    value = _parse(raw, "a JSON object")
    if not isinstance(value, dict):
        raise BadField("body", "a JSON object")
    return value


def parse_array(raw: bytes) -> "list[Fields]":
    """The JSON objects in a request's body that is an array; raises BadField when it is none."""
    value = _parse(raw, "an array of JSON objects")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadField("body", "an array of JSON objects")
    return [Fields(item, f"[{number}].") for number, item in enumerate(value)]


def _parse(raw: bytes, expected: str) -> Any:
    try:
        return msgspec.json.decode(_utf8(raw))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise BadField("body", f"{expected}, got malformed JSON") from None


def _utf8(raw: bytes) -> bytes:
    """The body as UTF-8; some Java clients send Latin-1 bytes."""
    raw = raw.removeprefix(_BOM)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode()
    return raw


class Fields:
    """Typed access to a JSON object; ``path`` prefixes names in errors (``disk.``)."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str | None:
        """A string; the empty one counts as absent."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self.bad(name, "a string")
        return value

    def text_as_given(self, name: str) -> str | None:
        """A string, which may be empty."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise self.bad(name, "a string")
        return value

    def required_text(self, name: str) -> str:
        """A string that must be there and not be empty."""
        value = self.text(name)
        if value is None:
            raise MissingField(self._path + name)
        return value

    def choice(self, name: str, options: tuple[str, ...]) -> str | None:
        """One of some words."""
        value = self.text(name)
        if value is not None and value not in options:
            raise self.bad(name, f"one of {', '.join(options)}")
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def integer(
        self, name: str, low: int, high: int = MAX_INTEGER, *, numeric_text: bool = False
    ) -> int | None:
        """A whole number in a range; ``numeric_text`` also takes it as a string."""
        value = self._values.get(name)
        if numeric_text and isinstance(value, str):
            if value == "":
                return None
            value = int(value) if _DIGITS.fullmatch(value) else value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            span = f"at least {low}" if high == MAX_INTEGER else f"from {low} to {high}"
            raise self.bad(name, f"a whole number {span}")
        return value

    def base64(self, name: str) -> bytes | None:
        """Base64 of the standard alphabet; line breaks are skipped."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return base64.b64decode(value.encode("ascii").translate(None, _BLANKS), validate=True)
        except (binascii.Error, UnicodeError):
            raise self.bad(name, "base64") from None

    def texts(self, name: str) -> tuple[str, ...]:
        """A non-empty array of non-empty strings that must be there; repeats are dropped."""
        value = self._values.get(name)
        if value is None:
            raise MissingField(self._path + name)
        if not isinstance(value, list) or not value:
            raise self.bad(name, "a non-empty array of strings")
        if not all(isinstance(item, str) and item for item in value):
            raise self.bad(name, "a non-empty array of strings")
        return tuple(dict.fromkeys(value))

    def is_empty_array(self, name: str) -> bool:
        """Whether there is an array without items."""
        return self._values.get(name) == []

    def words(self, name: str) -> tuple[str, ...] | None:
        """An array of non-empty strings, which may be empty itself; repeats are dropped.

        A query parameter gives several as one string, separated by commas.
        """
        value = self._values.get(name)
        if isinstance(value, str):
            value = [word.strip() for word in value.split(",") if word.strip()]
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.bad(name, "an array of strings")
        return tuple(dict.fromkeys(value))

    def object(self, name: str) -> "Fields | None":
        """A nested object."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.bad(name, "an object")
        return Fields(value, f"{self._path}{name}.")

    def objects(self, name: str) -> "list[Fields] | None":
        """An array of objects."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.bad(name, "an array of objects")
        return [Fields(item, f"{self._path}{name}[{n}].") for n, item in enumerate(value)]

    def mapping(self, name: str) -> dict[str, Any] | None:
        """A nested object as it is."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.bad(name, "an object")
        return value

    def names(self) -> frozenset[str]:
        """The fields that are there and not null."""
        return frozenset(name for name, value in self._values.items() if value is not None)

    def bad(self, name: str, expected: str) -> BadField:
        """The error that names a field of this object."""
        return BadField(self.path(name), expected)

    def path(self, name: str) -> str:
        """How errors call a field of this object."""
        return self._path + name
