"""What the agents of a process have to say, in order, until the bus has it."""

import asyncio
import contextlib
from collections import deque

import structlog

from chassis.bus.port import Bus
from chassis.clock import Clock
from chassis.errors import BusDown
from contracts.documents import Said, say
from contracts.messages import Message
from node_agent.metrics import UNSENT

_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
_log = structlog.get_logger()


class Telling:
    """One report on its way. ``lasting``: said again until confirmed, else said once."""

    __slots__ = ("confirmed", "lasting", "said")

    def __init__(self, said: Said, *, lasting: bool) -> None:
        self.said = said
        self.lasting = lasting
        self.confirmed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def withdraw(self) -> None:
        """Do not say it, unless that has happened already."""
        self.confirmed.cancel()


class Publisher:
    """One per process. What waits at the same moment leaves in one publish; one is in flight.

    A report counts as heard when the bus confirmed it and some queue took it.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._waiting: deque[Telling] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def tell(self, report: Message) -> Telling:
        """Say a report until it is confirmed; ``confirmed`` turns True then."""
        return self._queue(report, lasting=True)

    def mention(self, report: Message) -> Telling:
        """Say a report once; ``confirmed`` turns False when that did not work."""
        return self._queue(report, lasting=False)

    async def start(self) -> None:
        """See Part."""
        self._task = asyncio.create_task(self._run(), name="publisher")

    async def stop(self) -> None:
        """Give what waits one chance while the bus is there, then end."""
        if self._task is None:
            return
        if self._bus.connected:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), 2)
        self._task.cancel()
        await asyncio.wait([self._task])

    def _queue(self, report: Message, *, lasting: bool) -> Telling:
        telling = Telling(say(report), lasting=lasting)
        self._waiting.append(telling)
        self._idle.clear()
        self._wake.set()
        return telling

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch = [t for t in self._waiting if not t.confirmed.done()]
            self._waiting.clear()
            kept = await self._publish(batch) if batch else []
            UNSENT.set(len(kept) + len(self._waiting))
            if not kept:
                failures = 0
                if not self._waiting:
                    self._idle.set()
                continue
            self._waiting.extendleft(reversed(kept))
            self._wake.set()
            await self._clock.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _publish(self, batch: list[Telling]) -> list[Telling]:
        """Publish; returns what must be said again."""
        try:
            unheard = {id(said) for said in await self._bus.publish([t.said for t in batch])}
        except BusDown as error:
            _log.warning("publisher.bus_down", reports=len(batch), error=str(error))
            unheard = {id(t.said) for t in batch}
        again = []
        for telling in batch:
            future = telling.confirmed
            if future.done():
                continue
            if id(telling.said) not in unheard:
                future.set_result(True)
            elif telling.lasting:
                again.append(telling)
            else:
                future.set_result(False)
        return again
