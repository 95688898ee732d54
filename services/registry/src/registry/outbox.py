"""Messages kept beside what was decided, published until the bus has confirmed them."""

import asyncio
import uuid
from datetime import datetime

import msgspec
import structlog

from chassis.bus.port import Bus
from chassis.errors import Unavailable
from contracts.documents import Said, say
from contracts.messages import Message, tag_of
from registry.metrics import UNSENT
from registry.store import RegistryStore

_BATCH = 1024
_NAMESPACE = uuid.UUID("2f0d6f0a-95f5-5b5e-8a0e-1f3f5d0f7c52")
_log = structlog.get_logger()


def said(message: Message, subject: str, revision: int | datetime, kind: str = "") -> Said:
    """Encode ``message`` with the one id that a repeat of it has as well."""
    name = f"{subject} {revision} {kind or tag_of(message)}"
    return say(msgspec.structs.replace(message, id=str(uuid.uuid5(_NAMESPACE, name))))


class Outbox:
    """Publishes what the store keeps: at once after a commit, and in every sweep."""

    def __init__(self, store: RegistryStore, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._one = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Publish what an earlier process left."""
        self.kick()

    async def stop(self) -> None:
        """Wait for what is being published; the rest stays kept."""
        if self._running:
            await asyncio.wait(self._running, timeout=5)

    def kick(self) -> None:
        """Sweep soon: something was committed, or the bus is back."""
        task = asyncio.create_task(self._try_sweep(), name="outbox")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def sweep(self) -> None:
        """Publish everything kept; raises Unavailable when bus or store cannot take it now."""
        async with self._one:
            while kept := await self._store.unsaid(_BATCH):
                UNSENT.set(len(kept))
                unheard = await self._bus.publish([document.said for document in kept])
                for item in unheard:
                    _log.debug("outbox.unheard", key=item.key, id=item.id)
                await self._store.confirmed([document.id for document in kept])
            UNSENT.set(0)

    async def _try_sweep(self) -> None:
        try:
            await self.sweep()
        except Unavailable as error:
            _log.info("outbox.waiting", error=str(error))
        except Exception:
            _log.exception("outbox.failed")
