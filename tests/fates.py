"""Killing a service at a named point, in one process.

A service under a Fate reaches everything outside itself through wrapped ports. Once its fate is
sealed no call returns any more: for the world outside it is a process killed at that instant.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from chassis.bus.port import Bus, Consumer, Delivery, Queue
from chassis.clock import SystemClock
from chassis.errors import BusDown
from chassis.store.port import Store
from contracts.documents import Said
from node_agent.drivers.port import VmDriver


class Fate:
    """Dies when ``point`` is reached for the ``nth`` time; ``passed`` counts every point."""

    def __init__(self, point: str = "", nth: int = 1) -> None:
        self.point = point
        self.nth = nth
        self.passed: Counter[str] = Counter()
        self.dead = asyncio.Event()
        self.consumers: list[Consumer] = []
        self.buses: list[FatedBus] = []
        self._buried = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()

    async def reach(self, point: str) -> None:
        """Pass a point, or never return."""
        self.passed[point] += 1
        if point == self.point and self.passed[point] == self.nth:
            self.dead.set()
        await self.live()

    async def live(self) -> None:
        """Return only while alive and not frozen."""
        await self._running.wait()
        if self.dead.is_set():
            await self._buried.wait()
            raise asyncio.CancelledError

    def bury(self) -> None:
        """The test is over: whatever still hangs for the dead ends at once."""
        self.dead.set()
        self._buried.set()
        self._running.set()

    def freeze(self) -> None:
        """Stand still, as under SIGSTOP."""
        self._running.clear()

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        self._running.set()

    async def cut(self) -> None:
        """Lose the network to the bus; the service goes on."""
        for bus in self.buses:
            await bus.cut()

    async def heal(self) -> None:
        """Have the network again."""
        for bus in self.buses:
            await bus.heal()

    async def kill(self) -> None:
        """Seal the fate now; what the service held unacknowledged goes back to its queues."""
        self.dead.set()
        for consumer in self.consumers:
            await consumer.stop()
        self.consumers.clear()


class FatedClock(SystemClock):
    """Time stands still for the dead."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await super().sleep(seconds)
        await self._fate.live()


class FatedBus:
    """A service's connection to a bus that outlives it."""

    def __init__(self, bus: Bus, fate: Fate) -> None:
        self._bus = bus
        self._fate = fate
        self._cut = False
        self._wanted: list[tuple[Queue, Callable[[Delivery], None], Callable[[], None] | None]] = []
        fate.buses.append(self)

    @property
    def connected(self) -> bool:
        """See Bus."""
        return self._bus.connected and not self._cut

    async def start(self) -> None:
        """The bus is up already."""

    async def stop(self) -> None:
        """The bus goes on."""

    async def keep(self, queue: Queue) -> None:
        """See Bus."""
        await self._fate.live()
        await self._bus.keep(queue)

    async def publish(self, items: Sequence[Said]) -> Sequence[Said]:
        """See Bus."""
        await self._fate.reach("publish:before")
        if self._cut:
            raise BusDown
        unroutable = await self._bus.publish(items)
        await self._fate.reach("publish:after")
        return unroutable

    async def consume(
        self,
        queue: Queue,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None = None,
    ) -> Consumer:
        """See Bus."""
        await self._fate.live()

        def received(delivery: Delivery) -> None:
            if not self._fate.dead.is_set():
                receive(_FatedDelivery(delivery, self._fate))

        self._wanted.append((queue, received, ready))
        consumer = await self._bus.consume(queue, received, ready)
        self._fate.consumers.append(consumer)
        return consumer

    async def cut(self) -> None:
        """Nothing gets through any more; what was unacknowledged goes back."""
        self._cut = True
        for consumer in self._fate.consumers:
            await consumer.stop()
        self._fate.consumers.clear()

    async def heal(self) -> None:
        """Connected and subscribed again."""
        self._cut = False
        for wanted in self._wanted:
            self._fate.consumers.append(await self._bus.consume(*wanted))


class _FatedDelivery:
    def __init__(self, delivery: Delivery, fate: Fate) -> None:
        self._delivery = delivery
        self._fate = fate
        self.body, self.key = delivery.body, delivery.key
        self.attempt, self.redelivered = delivery.attempt, delivery.redelivered

    async def ack(self) -> None:
        await self._fate.reach("ack:before")
        await self._delivery.ack()
        await self._fate.reach("ack:after")

    async def requeue(self) -> None:
        await self._fate.live()
        await self._delivery.requeue()

    async def retry(self, body: bytes) -> None:
        await self._fate.live()
        await self._delivery.retry(body)

    async def dead_letter(self, body: bytes, reason: str) -> None:
        await self._fate.live()
        await self._delivery.dead_letter(body, reason)


class _Fated:
    """Any port: chosen verbs are points, and every verb hangs for the dead."""

    def __init__(self, inner: Any, fate: Fate, prefix: str, points: frozenset[str]) -> None:
        self._inner = inner
        self._fate = fate
        self._prefix = prefix
        self._points = points

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(verb):
            return verb

        async def call(*args: Any, **given: Any) -> Any:
            point = f"{self._prefix}.{name}"
            if name in self._points:
                await self._fate.reach(f"{point}:before")
            await self._fate.live()
            result = await verb(*args, **given)
            if name in self._points:
                await self._fate.reach(f"{point}:after")
            await self._fate.live()
            return result

        return call


def fated_store(store: Store, fate: Fate) -> Store:
    """A store whose commits and inserts are points."""
    fated: Any = _Fated(store, fate, "store", frozenset({"transact", "insert"}))
    return fated  # type: ignore[no-any-return]


DRIVER_VERBS = frozenset(
    {"pull", "clone", "start", "run_script", "restart", "stop", "save", "delete"}
)


def fated_driver(driver: VmDriver, fate: Fate) -> VmDriver:
    """A driver whose changing verbs are points."""
    fated: Any = _Fated(driver, fate, "driver", DRIVER_VERBS)
    return fated  # type: ignore[no-any-return]
