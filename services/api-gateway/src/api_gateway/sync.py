"""Keeping the projection true: messages move it, the database repairs it.

Subscribed first, then loaded, then moved by messages; compared with the database from time to
time, and often while the bus is down.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from api_gateway.documents import INSTANCES, NODES, TEMPLATES
from api_gateway.metrics import FRESH
from api_gateway.moves import Moves
from api_gateway.projection import Projection
from api_gateway.store import GatewayStore
from chassis.bus.port import Bus
from chassis.clock import Clock
from chassis.errors import Unavailable
from contracts.instances import InstanceDocument
from contracts.messages import Message
from contracts.nodes import NodeDocument

_FETCH = 500
"""Documents that are read at once when the projection is behind."""

_SLICE = 100
"""Documents that are encoded before others get their turn."""

_RETRY_PAUSE = 1.0
_STARTING_SECONDS = 2.0
_log = structlog.get_logger()


class Sync:
    """Loads, moves and repairs a projection."""

    def __init__(self, projection: Projection, store: GatewayStore, bus: Bus, clock: Clock) -> None:
        self._projection = projection
        self._store = store
        self._bus = bus
        self._clock = clock
        self._wanted = asyncio.Event()
        self._loaded = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._subscribed = False
        self._groups_revision = -1
        self.synced = False
        self._moves = Moves(projection, self._reread_soon)

    @property
    def loaded(self) -> bool:
        """Whether the projection was ever complete."""
        return self._loaded.is_set()

    @property
    def fresh(self) -> bool:
        """Whether messages keep the projection up to date right now."""
        return self.synced and self._bus.connected

    async def problem(self) -> str:
        """For readiness: empty, or what is missing."""
        return "" if self.loaded else "not loaded yet"

    def subscribed(self) -> None:
        """The bus (re)subscribed us: whatever was said meanwhile is lost, so load again."""
        self._subscribed = True
        self.synced = False
        self._wanted.set()

    async def start(self) -> None:
        """See Part."""
        self._wanted.set()
        self._task = asyncio.create_task(self._run(), name="projection")

    async def stop(self) -> None:
        """See Part."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def wait_loaded(self, seconds: float = _STARTING_SECONDS) -> None:
        """Return once the projection was complete; Unavailable after ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._loaded.wait()
        except TimeoutError:
            raise Unavailable("starting: the database was not read yet") from None

    async def move(self, messages: Sequence[Message]) -> None:
        """Handle messages; ids heard of for the first time in part are read from the database."""
        instances, nodes = self._moves.apply(messages)
        if instances and self.synced:
            self._moves.take_instances(await self._store.instances(sorted(instances)))
        if nodes and self.synced:
            self._moves.take_nodes(await self._store.nodes(sorted(nodes)))

    def take_instances(self, documents: Iterable[InstanceDocument]) -> None:
        """Merge documents from the database."""
        self._moves.take_instances(documents)

    def take_nodes(self, documents: Iterable[NodeDocument]) -> None:
        """Merge documents from the database."""
        self._moves.take_nodes(documents)

    async def compare(self) -> None:
        """Read what the projection is behind with; drop what the database no longer has."""
        view = self._projection
        await self._repair(
            INSTANCES,
            view.instances.marks,
            self._fetch_instances,
            view.instances.remove,
        )
        await self._repair(NODES, view.nodes.marks, self._fetch_nodes, view.nodes.remove)
        await self._repair(
            TEMPLATES, view.templates.marks, self._fetch_templates, self._drop_template
        )

    async def compare_while_deaf(self) -> None:
        """The comparison, only while messages do not come."""
        FRESH.set(self.fresh)
        if not self.fresh and self.loaded:
            await self.compare()

    async def reread_groups(self) -> None:
        """Read the groups again if they were written since."""
        revision = await self._store.groups_revision()
        if revision != self._groups_revision:
            self._projection.groups.replace(await self._store.groups())
            self._groups_revision = revision

    async def read_pending(self) -> None:
        """Add what others accepted and nobody could tell us of."""
        self.take_instances(await self._store.pending_instances())

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._load()
            except Unavailable as error:
                _log.warning("projection.waits", error=str(error))
            except Exception:
                _log.exception("projection.failed")
            else:
                continue
            self._wanted.set()
            await self._clock.sleep(_RETRY_PAUSE)

    async def _load(self) -> None:
        heard = self._subscribed
        if not self.loaded:
            await self._store.start()
        await self.compare()
        self._groups_revision = -1
        await self.reread_groups()
        self._loaded.set()
        self.synced = heard and not self._wanted.is_set()
        _log.info("projection.loaded", synced=self.synced)
        await self._encode_all()

    async def _encode_all(self) -> None:
        """Encode what was loaded piece by piece, so that no single list has to wait for all."""
        ids = sorted(self._projection.instances.ids())
        for start in range(0, len(ids), _SLICE):
            self._projection.instances.encode(ids[start : start + _SLICE])
            await asyncio.sleep(0)

    async def _repair(
        self,
        collection: str,
        marks: Callable[[], dict[str, tuple[int, int]]],
        fetch: Callable[[Sequence[str]], Awaitable[None]],
        remove: Callable[[str], None],
    ) -> None:
        known = marks()
        stored = await self._store.marks(collection)
        for identity in known.keys() - stored.keys():
            remove(identity)
        behind = [
            identity for identity, mark in stored.items() if _is_behind(known, identity, mark)
        ]
        for start in range(0, len(behind), _FETCH):
            await fetch(behind[start : start + _FETCH])

    async def _fetch_instances(self, ids: Sequence[str]) -> None:
        self._moves.take_instances(await self._store.instances(ids))

    async def _fetch_nodes(self, ids: Sequence[str]) -> None:
        self._moves.take_nodes(await self._store.nodes(ids))

    async def _fetch_templates(self, ids: Sequence[str]) -> None:
        for document in await self._store.templates(ids):
            self._projection.templates.stored(document)

    def _drop_template(self, identity: str) -> None:
        known = self._projection.templates.by_id.get(identity)
        if known is not None:
            self._projection.templates.remove(identity, known.revision)

    def _reread_soon(self) -> None:
        self._groups_revision = -1


def _is_behind(
    known: Mapping[str, tuple[int, int]], identity: str, stored: tuple[int, int]
) -> bool:
    mark = known.get(identity)
    return mark is None or mark[0] < stored[0] or mark[1] < stored[1]
