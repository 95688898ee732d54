"""Messages that must be said, stored in the transaction that decided them."""

from collections.abc import Sequence

import structlog

from api_gateway.documents import OUTBOX, Unsaid
from api_gateway.metrics import UNSENT
from api_gateway.store import GatewayStore
from chassis.bus.port import Bus
from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.store.port import Insert, Write
from contracts.documents import say
from contracts.messages import Command, Message

_LIMIT = 1000
_log = structlog.get_logger()


class Outbox:
    """Keeps messages beside the decision; publishes them until the bus has confirmed."""

    def __init__(self, store: GatewayStore, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    def writes(self, messages: Sequence[Message]) -> list[Write]:
        """Part of the transaction; every message carries its id."""
        now = self._clock.now()
        unsaid = (
            Unsaid(id=message.id, said=say(message), at=now, command=isinstance(message, Command))
            for message in messages
        )
        return [Insert(collection=OUTBOX, document=document) for document in unsaid]

    async def keep(self, messages: Sequence[Message]) -> None:
        """Have messages said that no other document remembers: durable when this returns."""
        await self._store.keep(self.writes(messages))
        await self.flush_now()

    async def flush_now(self) -> None:
        """Publish what waits, or leave it to the next flush."""
        try:
            await self.flush()
        except Unavailable as error:
            _log.warning("outbox.waits", error=str(error))

    async def flush(self) -> None:
        """Publish what waits; raises BusDown or StoreDown, and the next call tries again."""
        waiting = await self._store.unsaid(_LIMIT)
        UNSENT.set(len(waiting))
        if waiting and self._bus.connected:
            unheard = {said.id for said in await self._bus.publish([each.said for each in waiting])}
            heard = [each.id for each in waiting if each.id not in unheard or not each.command]
            await self._store.forget(heard)
            UNSENT.set(len(waiting) - len(heard))
