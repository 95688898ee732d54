"""Whether an answer looks like an example.

An expected value stands for its type, and a text for its form as well: a date for a date, an id
for an id. ``=Started`` is exactly this text, ``{instance}`` exactly what was captured by that
name. The only element of an array stands for all elements; ``[]`` is an array of anything. Keys
that are not expected are fine.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from tests.json_paths import values_at

_NAME = re.compile(r"\{(\w+)\}")
_FORMS = {
    "id": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "address": re.compile(r"https?://\S+"),
    "release": re.compile(r"\d+\.\d+\.\d+-[0-9a-f]+"),
    "MAC address": re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}"),
    "key": re.compile(r"MII[A-Za-z0-9+/=]{100,}"),
}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """``path`` like ``body[].vm.tag``; ``kind`` is missing, type, form, value, empty, or other."""

    path: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}: {self.detail}"


class Missing(LookupError):
    """A placeholder that nothing has filled."""


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """The same with every ``{name}`` in keys and texts replaced. Missing."""
    if isinstance(value, str):
        try:
            return _NAME.sub(lambda match: names[match[1]], value)
        except KeyError as error:
            raise Missing(error.args[0]) from None
    if isinstance(value, Mapping):
        return {filled(key, names): filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return value


def expected(value: Any, names: Mapping[str, str]) -> Any:
    """The same with placeholders filled, so that what they stand for is compared exactly."""
    if isinstance(value, str):
        return "=" + filled(value, names).removeprefix("=") if _NAME.search(value) else value
    if isinstance(value, Mapping):
        return {filled(key, names): expected(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [expected(item, names) for item in value]
    return value


def differences(wanted: Any, got: Any, path: str = "") -> Iterator[Difference]:
    """What is not as expected, part by part."""
    if not _same_type(wanted, got):
        yield Difference(path=path, kind="type", detail=f"{got!r} is not like {wanted!r}")
    elif isinstance(wanted, dict):
        for key, item in wanted.items():
            below = f"{path}.{key}" if path else key
            if key in got:
                yield from differences(item, got[key], below)
            else:
                yield Difference(path=below, kind="missing", detail=f"there is {sorted(got)}")
    elif isinstance(wanted, list):
        yield from _elements(wanted, got, f"{path}[]")
    elif isinstance(wanted, str):
        yield from _text(wanted, got, path)


def narrowed(answer: Any, path: str, wanted: Mapping[str, str]) -> Any:
    """The answer, with only those elements of the array at ``path`` that have these values."""
    found = answer.get(path) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        return answer
    chosen = [item for item in found if all(map(partial(_has, item), wanted.items()))]
    return answer | {path: chosen}


def _has(item: Any, wanted: tuple[str, str]) -> bool:
    return wanted[1] in values_at(item, wanted[0])


def _same_type(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, float):
        return isinstance(got, int | float) and not isinstance(got, bool)
    return type(got) is type(wanted)


def _elements(wanted: list[Any], got: list[Any], path: str) -> Iterator[Difference]:
    if not wanted:
        return
    if not got:
        yield Difference(path=path, kind="empty", detail="no element")
    for item in got:
        yield from differences(wanted[0], item, path)


def _text(wanted: str, got: str, path: str) -> Iterator[Difference]:
    if wanted.startswith("="):
        if got != wanted[1:]:
            yield Difference(path=path, kind="value", detail=f"{got!r} is not {wanted[1:]!r}")
    elif _is_date(wanted):
        if not _is_date(got):
            yield Difference(path=path, kind="form", detail=f"{got!r} is no date with a zone")
    else:
        for form, pattern in _FORMS.items():
            if pattern.fullmatch(wanted) and not pattern.fullmatch(got):
                yield Difference(path=path, kind="form", detail=f"{got!r} has no form of {form}")


def _is_date(text: str) -> bool:
    try:
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
