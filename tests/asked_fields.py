"""Which fields and parameters the gateway asks requests for, noted while tests call it."""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from api_gateway.domain.fields import Fields
from api_gateway.web import Call

_OUTERMOST = re.compile(r"(\[\d+\]\.)?")
"""The path of a body, or of an element of an array; of nested objects the name is enough."""

_noted: ContextVar[set[str] | None] = ContextVar("asked_fields", default=None)


def note() -> set[str]:
    """The names that whoever handles the current request asks for from now on."""
    names: set[str] = set()
    _noted.set(names)
    return names


class _Noting(dict[str, Any]):
    """A JSON object that notes what it is asked for."""

    def get(self, name: str, default: Any = None) -> Any:
        _add(name)
        return super().get(name, default)


def _add(name: str) -> None:
    names = _noted.get()
    if names is not None:
        names.add(name)


def _noting(function: Callable[[Call, str], Any]) -> Callable[[Call, str], Any]:
    def asked(call: Call, name: str) -> Any:
        _add(name)
        return function(call, name)

    return asked


def _hold(self: Fields, values: dict[str, Any], path: str = "") -> None:
    _as_it_is(self, _Noting(values) if _OUTERMOST.fullmatch(path) else values, path)


_as_it_is = Fields.__init__
Fields.__init__ = _hold  # type: ignore[method-assign]
Call.query = _noting(Call.query)  # type: ignore[method-assign]
Call.queries = _noting(Call.queries)  # type: ignore[method-assign]
