"""The examples of the API page as data: what is sent, and what the answer looks like.

One file per section in ``answers/``, replayed in the order of their names. Requests and the forms
of answers are facts of the wire; every value is made up. How an answer is written: ``shapes.py``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

FOLDER = Path(__file__).parent
ANSWERS = FOLDER / "answers"

Where = Literal["controller", "guarded", "registry"]


class Follow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Watch the value at ``path`` until it is the last of ``order``; a failure is its message.

    Some of the states may be too short to be seen, none may come out of order.
    """

    path: str
    order: tuple[str, ...]


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request and its answer.

    ``heading``: that of the page, empty for a step that only prepares others. ``shows``: the
    page's own example under that heading, if it has one. ``call``: verb and path as documented.
    ``at``: a controller, one that asks who calls, or the registry. ``answer``: left out where only
    the HTTP status is documented. ``capture``: names for values of the answer, by path. ``only``:
    of the array at a path, the elements with these values at their own paths. ``omitted``: paths
    that must not be there. ``repeat``: until the answer is as expected.
    """

    name: str
    call: str
    heading: str = ""
    shows: str = ""
    at: Where = "controller"
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: Any = msgspec.UNSET
    status: int = 200
    answer: Any = msgspec.UNSET
    capture: Mapping[str, str] = {}
    only: Mapping[str, Mapping[str, str]] = {}
    omitted: tuple[str, ...] = ()
    follow: Follow | None = None
    repeat: bool = False


def examples() -> list[Example]:
    """All of them, in the order in which they can be replayed."""
    found = [
        example
        for file in sorted(ANSWERS.glob("*.json"))
        for example in msgspec.json.decode(file.read_bytes(), type=list[Example])
    ]
    names = [example.name for example in found]
    assert len(names) == len(set(names)), "names of examples must differ"
    return found
