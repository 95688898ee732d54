"""Publishing in the background: commands are wake-ups, the documents are durable already."""

import asyncio
from collections import deque
from collections.abc import Iterable

import structlog

from api_gateway.metrics import DROPPED
from chassis.bus.port import Bus
from chassis.errors import BusDown
from contracts.documents import Said, say
from contracts.messages import Message

_log = structlog.get_logger()


class Outgoing:
    """Publishes whatever waits, together. What cannot be published is logged and dropped.

    ``limit``: messages that may wait; the scheduler's sweep covers those dropped.
    """

    def __init__(self, bus: Bus, limit: int) -> None:
        self._bus = bus
        self._limit = limit
        self._waiting: deque[Said] = deque()
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def send(self, messages: Iterable[Message]) -> None:
        """Publish soon."""
        self._waiting.extend(map(say, messages))
        dropped = max(0, len(self._waiting) - self._limit)
        for _ in range(dropped):
            self._waiting.popleft()
        if dropped:
            _drop("too many wait", dropped)
        self._arrived.set()

    async def start(self) -> None:
        """See Part."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name="outgoing")

    async def stop(self) -> None:
        """Publish what waits, then end."""
        self._stopping = True
        self._arrived.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._arrived.wait()
            self._arrived.clear()
            batch = list(self._waiting)
            self._waiting.clear()
            if not batch:
                continue
            try:
                await self._publish(batch)
            except Exception:
                _log.exception("commands.failed", messages=len(batch))

    async def _publish(self, batch: list[Said]) -> None:
        if not self._bus.connected:
            _drop("bus is down", len(batch))
            return
        try:
            unroutable = await self._bus.publish(batch)
        except BusDown as error:
            _drop(str(error), len(batch))
            return
        if unroutable:
            keys = sorted({said.key for said in unroutable})
            _log.info("commands.unheard", keys=keys, messages=len(unroutable))


def _drop(reason: str, messages: int) -> None:
    DROPPED.inc(messages)
    _log.warning("commands.dropped", reason=reason, messages=messages)
