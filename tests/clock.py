"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """See chassis.clock.Clock. ``advance`` wakes whoever sleeps until then, in order.

    ``under_way`` tells the work of threads, if there is any: meanwhile no time passes, however
    slow they are. It must not sleep on this clock.
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self.under_way: Callable[[], asyncio.Task[None] | None] = lambda: None
        self._seconds = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The time it was set to, cut to milliseconds like the system clock."""
        moment = self._start + timedelta(seconds=self._seconds)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._seconds

    @property
    def sleepers(self) -> int:
        """How many wait."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Return once ``advance`` has passed that moment (at once for zero or less)."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move on; every sleeper due on the way wakes at its own moment and runs first."""
        await self._settle()  # whoever was about to sleep does so first
        end = self._seconds + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self._seconds, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
                await self._settle()
        self._seconds = end
        await self._settle()

    async def _settle(self) -> None:
        await settle()
        while work := self.under_way():
            await asyncio.wait([work])
            await settle()


async def settle(rounds: int = 20) -> None:
    """Let every task that can run do so."""
    for _ in range(rounds):
        await asyncio.sleep(0)
