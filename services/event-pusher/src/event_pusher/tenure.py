"""Leading and standing by: of all event-pushers one works, the next one waits for its lease."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from prometheus_client import Gauge

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.lease import Lease
from chassis.service import Part

LEADER = Gauge("corral_event_pusher_leader", "1 while this event-pusher holds the lease.")
_log = structlog.get_logger()


class Tenure:
    """Runs one part for as long as the lease is held; ``ttl`` of the lease in seconds.

    ``work`` makes the part anew for each term: nothing in memory survives the loss of a lease.
    """

    def __init__(
        self, lease: Lease, ttl: float, work: Callable[["Tenure"], Part], clock: Clock
    ) -> None:
        self.lease = lease
        self._ttl = ttl
        self._work = work
        self._clock = clock
        self._held_until = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether nobody else can have the lease yet, by our clock since the last renewal."""
        return self._clock.monotonic() < self._held_until

    async def start(self) -> None:
        """Begin to stand by."""
        self._task = asyncio.create_task(self._run(), name="tenure")

    async def stop(self) -> None:
        """End the work, then let a successor in at once."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._term()
            except Unavailable as error:
                _log.warning("tenure.unavailable", error=str(error))
            except Exception:
                _log.exception("tenure.failed")
            await self._clock.sleep(self._ttl / 6)

    async def _term(self) -> None:
        asked = self._clock.monotonic()
        if not await self.lease.acquire():
            return
        self._held_until = asked + self._ttl
        work = self._work(self)
        holding = asyncio.create_task(self._hold(), name="tenure:hold")
        LEADER.set(1)
        try:
            await work.start()
            await holding
        finally:
            holding.cancel()
            LEADER.set(0)
            await work.stop()
            await self._leave()

    async def _leave(self) -> None:
        if not self.held:
            _log.warning("tenure.lost", epoch=self.lease.epoch)
            return
        self._held_until = 0.0
        try:
            await self.lease.release()
        except Unavailable as error:
            _log.warning("tenure.not_released", error=str(error))

    async def _hold(self) -> None:
        """Return when the lease is gone, or may be."""
        while self.held:
            await self._clock.sleep(self._ttl / 3)
            asked = self._clock.monotonic()
            try:
                kept = await asyncio.wait_for(self.lease.renew(), self._ttl / 3)
            except (Unavailable, TimeoutError) as error:
                _log.warning("tenure.not_renewed", error=str(error))
                continue
            if not kept:
                self._held_until = 0.0
                return
            self._held_until = asked + self._ttl
