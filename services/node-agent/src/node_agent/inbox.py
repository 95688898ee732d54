"""The queues of all nodes of the process, subscribed side by side."""

import asyncio
from collections.abc import Sequence

from chassis.bus.dispatch import Dispatcher, Handle
from chassis.bus.port import Bus, Queue
from chassis.clock import Clock
from node_agent.handlers import HANDLERS

_SIDE_BY_SIDE = 16


class Inbox:
    """Declaring a queue takes some round trips: a thousand of them must not queue up for it."""

    def __init__(self, bus: Bus, queues: Sequence[Queue], handle: Handle, clock: Clock) -> None:
        shares = [queues[start::_SIDE_BY_SIDE] for start in range(_SIDE_BY_SIDE)]
        self._dispatchers = [
            Dispatcher(bus, share, HANDLERS, handle, clock) for share in shares if share
        ]

    async def start(self) -> None:
        """See Part."""
        await asyncio.gather(*(dispatcher.start() for dispatcher in self._dispatchers))

    async def stop(self) -> None:
        """See Part."""
        await asyncio.gather(*(dispatcher.stop() for dispatcher in self._dispatchers))
