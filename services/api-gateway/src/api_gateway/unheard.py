"""What other gateways accepted a moment ago and no message has told us of yet."""

import asyncio
import contextlib

from api_gateway.projection import Projection
from api_gateway.store import GatewayStore
from api_gateway.sync import Sync
from chassis.errors import Unavailable

_LIMIT = 0.5
"""Seconds a list waits for the database; without an answer nobody can have accepted anything."""

_GATHER = 0.0005
"""Seconds in which more lists may join a question that has waited for the one before it."""


class Unheard:
    """Read before every list, so that a list holds what any gateway has answered OK to.

    Lists asked for at one moment share a question, but never one that was asked before them.
    """

    def __init__(self, projection: Projection, sync: Sync, store: GatewayStore) -> None:
        self._view = projection
        self._sync = sync
        self._store = store
        self._asking: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Return when the projection holds it, or the database does not answer."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask(self._asking), name="unheard")
        await asyncio.wait({self._next}, timeout=_LIMIT)

    async def _ask(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
            await asyncio.sleep(_GATHER)
        self._asking, self._next = self._next, None
        with contextlib.suppress(Unavailable):
            generations = await self._store.pending_generations()
            behind = [i for i, generation in generations.items() if self._is_behind(i, generation)]
            if behind:
                self._sync.take_instances(await self._store.instances(behind))

    def _is_behind(self, identity: str, generation: int) -> bool:
        entry = self._view.instances.get(identity)
        return entry is None or entry.generation < generation
