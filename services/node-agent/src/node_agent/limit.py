"""A limit of time by a clock that tests can move."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from chassis.clock import Clock

T = TypeVar("T")


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns; TimeoutError, and the work cancelled, when it takes longer."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    both = (task, timer)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        for one in both:
            one.cancel()
        await asyncio.wait(both)
