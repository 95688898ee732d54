"""Messages that must be said, stored in the transaction that decided them."""

from collections.abc import Sequence

from api_gateway.documents import OUTBOX, Unsaid
from api_gateway.store import GatewayStore
from chassis.bus.port import Bus
from chassis.clock import Clock
from chassis.store.port import Insert, Write
from contracts.documents import say
from contracts.messages import Message

_LIMIT = 1000


class Outbox:
    """Keeps messages beside the decision; publishes them until the bus has confirmed."""

    def __init__(self, store: GatewayStore, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    def writes(self, messages: Sequence[Message]) -> list[Write]:
        """Part of the transaction; every message carries its id."""
        now = self._clock.now()
        return [
            Insert(collection=OUTBOX, document=Unsaid(id=said.id, said=said, at=now))
            for said in map(say, messages)
        ]

    async def flush(self) -> None:
        """Publish what waits; raises BusDown or StoreDown, and the next call tries again."""
        if not self._bus.connected:
            return
        waiting = await self._store.unsaid(_LIMIT)
        if waiting:
            await self._bus.publish([unsaid.said for unsaid in waiting])
            await self._store.forget([unsaid.id for unsaid in waiting])
