"""What the API page documents, by its headings, and which examples cover it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tests.golden.deviations import known
from tests.golden.examples import FOLDER, Example, examples

_GROUP = re.compile(r"(?<=/permission/group/)[^/]+")


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One heading. ``shows``: its examples, by a short name of ours.

    ``parameters`` of requests and ``fields`` of answers by their names; ``omitted``: fields that
    are left out when there is nothing to say.
    """

    heading: str
    calls: tuple[str, ...]
    shows: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()


def sections() -> list[Section]:
    """The page from top to bottom."""
    return msgspec.json.decode((FOLDER / "page.json").read_bytes(), type=list[Section])


def working(call: str) -> str:
    """The call, or what the page means when it misprints it."""
    return next((m.means for m in known().misprint if m.call == call), call)


def documented(call: str) -> str:
    """The call of an example as the page writes it."""
    return _GROUP.sub("{groupName}", call)


def of_section(section: Section) -> list[Example]:
    """The examples under a heading."""
    return [example for example in examples() if example.heading == section.heading]


def uncovered(section: Section) -> Iterator[str]:
    """What no example under a heading shows: calls, examples, parameters and fields."""
    found = of_section(section)
    sent = {name for e in found for name in [*e.query, *_keys(e.body)]}
    answered = {name for e in found for name in _keys(e.answer)}
    omitted = {path.rpartition(".")[2] for e in found for path in e.omitted}
    calls = {documented(example.call) for example in found}
    yield from (call for call in section.calls if working(call) not in calls)
    yield from set(section.shows) - {example.shows for example in found}
    yield from (f"parameter {name}" for name in section.parameters if name not in sent)
    yield from (f"field {name}" for name in section.fields if name not in answered)
    yield from (f"{name} left out" for name in section.omitted if name not in omitted)


def unknown(section: Section) -> Iterator[str]:
    """What examples under a heading show and the page does not have."""
    calls = {working(call) for call in section.calls}
    for example in of_section(section):
        if example.shows and example.shows not in section.shows:
            yield f"{example.name}: {example.shows}"
        if documented(example.call) not in calls:
            yield f"{example.name}: {example.call}"


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)
