"""Knowing which node's queue was (re)subscribed, beside one dispatcher for all of them."""

from collections.abc import Callable, Sequence

from chassis.bus.port import Bus, Consumer, Delivery, Queue
from contracts.documents import Said


class SubscribedBus:
    """A bus that tells the name of each queue that is consumed from now on."""

    def __init__(self, bus: Bus, subscribed: Callable[[str], None]) -> None:
        self._bus = bus
        self._subscribed = subscribed

    @property
    def connected(self) -> bool:
        """See Bus."""
        return self._bus.connected

    async def start(self) -> None:
        """The bus has a life of its own."""

    async def stop(self) -> None:
        """The bus has a life of its own."""

    async def keep(self, queue: Queue) -> None:
        """See Bus."""
        await self._bus.keep(queue)

    async def publish(self, items: Sequence[Said]) -> Sequence[Said]:
        """See Bus."""
        return await self._bus.publish(items)

    async def consume(
        self,
        queue: Queue,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None = None,
    ) -> Consumer:
        """See Bus."""

        def subscribed() -> None:
            if ready is not None:
                ready()
            self._subscribed(queue.name)

        return await self._bus.consume(queue, receive, subscribed)
