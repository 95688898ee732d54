"""Leading and standing by: whoever holds the lease decides, the others wait for it to expire."""

import asyncio
import contextlib

import structlog

from chassis.bus.dispatch import Dispatcher
from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.lease import Lease
from scheduler.turn import Turns

_log = structlog.get_logger()


class Leader:
    """Takes the lease, runs the dispatcher while it holds it, gives it back at the end.

    One that cannot begin gives it back as well and competes anew: another may be able to, and
    whoever held it without listening would keep the cloud deaf.
    """

    def __init__(
        self, lease: Lease, turns: Turns, dispatcher: Dispatcher, clock: Clock, every: float
    ) -> None:
        self._lease = lease
        self._turns = turns
        self._dispatcher = dispatcher
        self._clock = clock
        self._every = every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to compete; returns at once."""
        self._task = asyncio.create_task(self._run(), name="leader")

    async def stop(self) -> None:
        """Finish the turn at hand and let a successor in at once."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._turns.leading:
            await self._give_back()

    async def _run(self) -> None:
        while True:
            try:
                await self._beat()
            except Unavailable as error:
                _log.warning("scheduler.lease_unavailable", error=str(error))
            except Exception:
                _log.exception("scheduler.lease_failed")
            await self._clock.sleep(self._every)

    async def _beat(self) -> None:
        if self._turns.leading:
            if not await self._lease.renew():
                _log.warning("scheduler.lease_lost", epoch=self._lease.epoch)
                await self._step_down()
        elif await self._lease.acquire():
            await self._begin()

    async def _begin(self) -> None:
        try:
            await self._turns.lead()
            await self._dispatcher.start()
        except Exception:
            await self._give_back()
            raise
        _log.info("scheduler.leading", epoch=self._lease.epoch)

    async def _give_back(self) -> None:
        await self._step_down()
        with contextlib.suppress(Unavailable):
            await self._lease.release()

    async def _step_down(self) -> None:
        await self._turns.retire()
        await self._dispatcher.stop()
