"""Waiting for a condition instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(
    condition: Callable[[], T | Awaitable[T]], limit: float = 10.0, every: float = 0.01
) -> T:
    """The first truthy answer of ``condition`` (plain or async); fails after ``limit`` seconds."""
    end = time.monotonic() + limit
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > end:
            what = inspect.getsource(getattr(condition, "func", condition)).strip()
            raise AssertionError(f"not within {limit} s: {what}, last answer {found!r}")
        await asyncio.sleep(every)
