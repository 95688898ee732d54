"""Writes that others may be making at the same moment."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from chassis.errors import Conflict, Unavailable

T = TypeVar("T")

_TRIES = 5


async def contended(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Read, decide and write, again when somebody was faster; else Unavailable, with ``what``.

    The log tells it, callers hear that they may try again.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(Conflict):
            return await attempt()
    raise Unavailable(f"{what}: changed by others all the time")
