"""What a route takes and gives, said where it is written; ``openapi`` makes the document of it.

Saying it costs nothing when the route is called: the function stays what it is.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

JSON = "application/json"
ANY = "*/*"
"""Whatever a file is."""

F = TypeVar("F", bound=Callable[..., Any])

_SAID = "operation"
_ETAG = "ETag"


class Undescribed(LookupError):
    """A route does not say what it takes and gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Types are what msgspec knows. ``summary`` and ``description`` come from the docstring.

    ``answer`` is the type of the envelope's ``body``, None when there is none. ``bare``: the
    answer comes without the envelope; in another ``media`` than JSON it always does, and if it
    is bare there, so do the failures.
    ``query`` and ``headers`` are structs whose fields are parameters.
    ``body`` is the request's type, which may be missing when it is ``optional``.
    ``either`` is a struct whose fields may stand in the query or in a JSON body, which wins.
    ``sends``: headers of the answer and their meaning; with an ETag it may also be 304.
    ``codes``: further HTTP statuses of success and of failures of its own.
    """

    answer: Any = None
    query: Any = None
    headers: Any = None
    body: Any = None
    optional: bool = False
    either: Any = None
    bare: bool = False
    media: tuple[str, ...] = (JSON,)
    sends: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[int, str] = field(default_factory=dict)
    summary: str = ""
    description: str = ""

    @property
    def cacheable(self) -> bool:
        """Whether ``If-None-Match`` may be answered by 304."""
        return _ETAG in self.sends

    @property
    def raw(self) -> bool:
        """Whether the answer is never JSON, not even of a failure."""
        return self.bare and JSON not in self.media

    @property
    def enveloped(self) -> bool:
        """Whether success comes in the envelope."""
        return JSON in self.media and not self.bare

    def types(self) -> list[Any]:
        """Every type that the document has to explain."""
        named = (self.answer, self.query, self.headers, self.body, self.either)
        return [kind for kind in named if kind is not None]


def operation(answer: Any = None, **given: Any) -> Callable[[F], F]:
    """Say it of a function; see Operation. Its docstring says the rest."""

    def said(function: F) -> F:
        summary, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
        given["summary"], given["description"] = " ".join(summary.split()), rest
        setattr(function, _SAID, Operation(answer=answer, **given))
        return function

    return said


def operation_of(route: Callable[..., Any] | Operation) -> Operation:
    """What was said of a function or bound method, or is said instead of one. Undescribed."""
    found = route if isinstance(route, Operation) else getattr(route, _SAID, None)
    if not isinstance(found, Operation):
        raise Undescribed(getattr(route, "__qualname__", repr(route)))
    return found
