"""``/api/v1/stats``: how busy the cloud is."""

from collections import Counter

import msgspec

from api_gateway.operation import operation
from api_gateway.projection import Projection
from api_gateway.public import envelope
from api_gateway.public import instances as public_instances
from api_gateway.public import nodes as public_nodes
from api_gateway.public.cloud import Stats
from api_gateway.public.scalars import number
from api_gateway.store import GatewayStore
from api_gateway.sync import Sync
from api_gateway.web import Call, Routes
from chassis.errors import Unavailable

_DIGITS = 3


class StatsRoutes:
    """The scheduler's figures of the last minute, and ours of this moment.

    Documented are ``average_queue_time`` (seconds; above 5 the cloud is overloaded) and
    ``tasks_per_second``. ``updated`` tells how old the scheduler's are.
    """

    def __init__(self, store: GatewayStore, projection: Projection, sync: Sync) -> None:
        self._store = store
        self._view = projection
        self._sync = sync

    def table(self) -> Routes:
        """Path to verb to function."""
        return {"/api/v1/stats": {"GET": self.get}}

    @operation(Stats)
    async def get(self, _call: Call) -> bytes:
        """Figures; Unavailable while no scheduler has ever led."""
        stats = await self._store.stats()
        if stats is None:
            raise Unavailable("no scheduler has led yet")
        await self._sync.wait_loaded()
        body = Stats(
            average_queue_time=_rounded(stats.average_queue_time),
            tasks_per_second=_rounded(stats.tasks_per_second),
            starts_per_second=_rounded(stats.starts_per_second),
            waiting=stats.waiting,
            longest_wait=_rounded(stats.longest_wait),
            updated=stats.at,
            instances=Counter(
                public_instances.state_of(known.spec, known.status)
                for known in self._view.instances.known()
            ),
            nodes=Counter(
                public_nodes.state_of(known.spec, known.status)
                for known in self._view.nodes.known()
            ),
        )
        return envelope.ok(msgspec.json.encode(body))


def _rounded(figure: float) -> int | float:
    return number(round(figure, _DIGITS))
