"""How much heavy work a host does at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext


class Workers:
    """Slots for pulls, clones and boots; scripts need none. ``number`` 0: as many as asked for.

    Pulls leave one slot free, so that a start of a cached tag never waits for a download.
    """

    def __init__(self, number: int) -> None:
        self._slots = asyncio.Semaphore(number) if number else None
        self._pulls = asyncio.Semaphore(max(1, number - 1)) if number else None

    def boot(self) -> AbstractAsyncContextManager[None]:
        """A slot to clone and boot in."""
        return self._slots or nullcontext()

    @asynccontextmanager
    async def pull(self) -> AsyncIterator[None]:
        """A slot to pull in."""
        if self._slots is None or self._pulls is None:
            yield
            return
        async with self._pulls, self._slots:
            yield
