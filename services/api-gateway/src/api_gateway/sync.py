"""Keeping the projection true: messages move it, the database repairs it.

Subscribed first, then loaded, then moved by messages; compared with the database from time to
time, and often while the bus is down.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog

from api_gateway.domain.without_script import without_body
from api_gateway.projection import Projection
from api_gateway.store import INSTANCES, NODES, TEMPLATES, GatewayStore
from chassis.bus.port import Bus, Queue, QueueKind
from chassis.clock import Clock
from chassis.errors import Unavailable
from contracts.groups import GroupChanged, GroupRemoved
from contracts.instances import (
    InstanceChanged,
    InstanceDocument,
    InstanceRemoved,
    RestartVM,
    StartVM,
    TerminateVM,
    UpdateVM,
)
from contracts.messages import Message, tag_of
from contracts.nodes import (
    ConfigureNode,
    DeleteNode,
    NodeChanged,
    NodeDocument,
    NodeRemoved,
)
from contracts.templates import TemplateChanged, TemplateRemoved

HEARD: tuple[type[Message], ...] = (
    StartVM,
    TerminateVM,
    RestartVM,
    UpdateVM,
    InstanceChanged,
    InstanceRemoved,
    ConfigureNode,
    DeleteNode,
    NodeChanged,
    NodeRemoved,
    GroupChanged,
    GroupRemoved,
    TemplateChanged,
    TemplateRemoved,
)

_FETCH = 500
"""Documents that are read at once when the projection is behind."""

_RETRY_PAUSE = 1.0
_log = structlog.get_logger()


def projection_queue() -> Queue:
    """A queue of this process' own, gone with it."""
    return Queue(
        name=f"gateway.projection.{uuid.uuid4()}",
        keys=tuple(tag_of(kind) for kind in HEARD),
        kind=QueueKind.PROJECTION,
        prefetch=1024,
    )


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
        self._moves = self._table()

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

    async def wait_loaded(self, seconds: float) -> None:
        """Return once the projection was complete; Unavailable after ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._loaded.wait()
        except TimeoutError:
            raise Unavailable("starting: the database was not read yet") from None

    async def move(self, messages: Sequence[Message]) -> None:
        """Handle messages; ids heard of for the first time in part are read from the database."""
        unknown_instances: set[str] = set()
        unknown_nodes: set[str] = set()
        for message in messages:
            missed = self._moves[type(message)](message)
            if missed is not None:
                is_node = isinstance(message, ConfigureNode | DeleteNode)
                (unknown_nodes if is_node else unknown_instances).add(missed)
        if unknown_instances and self.synced:
            self.take_instances(await self._store.instances(sorted(unknown_instances)))
        if unknown_nodes and self.synced:
            self.take_nodes(await self._store.nodes(sorted(unknown_nodes)))

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

    def take_instances(self, documents: Iterable[InstanceDocument]) -> None:
        """Merge documents from the database."""
        for document in documents:
            self._projection.instances.merge(
                document.id,
                document.created,
                (document.generation, without_body(document.spec)),
                (document.status_revision, document.status),
            )

    def take_nodes(self, documents: Iterable[NodeDocument]) -> None:
        """Merge documents from the database."""
        for document in documents:
            self._projection.nodes.merge(
                document.id,
                document.created,
                (document.generation, document.spec),
                (document.status_revision, document.status),
            )

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

    async def _repair(
        self,
        collection: str,
        marks: Callable[[], dict[str, tuple[int, int]]],
        fetch: Callable[[Sequence[str] | None], Awaitable[None]],
        remove: Callable[[str], None],
    ) -> None:
        known = marks()
        if not known:
            await fetch(None)
            return
        stored = await self._store.marks(collection)
        for identity in known.keys() - stored.keys():
            remove(identity)
        behind = [
            identity for identity, mark in stored.items() if _is_behind(known, identity, mark)
        ]
        for start in range(0, len(behind), _FETCH):
            await fetch(behind[start : start + _FETCH])

    async def _fetch_instances(self, ids: Sequence[str] | None) -> None:
        self.take_instances(await self._store.instances(ids))

    async def _fetch_nodes(self, ids: Sequence[str] | None) -> None:
        self.take_nodes(await self._store.nodes(ids))

    async def _fetch_templates(self, ids: Sequence[str] | None) -> None:
        for document in await self._store.templates(ids):
            self._projection.templates.stored(document)

    def _drop_template(self, identity: str) -> None:
        known = self._projection.templates.by_id.get(identity)
        if known is not None:
            self._projection.templates.remove(identity, known.revision)

    def _table(self) -> Mapping[type[Message], Callable[[Any], str | None]]:
        """What each kind of message moves; the answer names a document known only in part."""
        view = self._projection
        return {
            StartVM: lambda m: self.take_instances([m.instance]),
            TerminateVM: self._instance_wish,
            RestartVM: self._instance_wish,
            UpdateVM: self._instance_wish,
            InstanceChanged: self._instance_changed,
            InstanceRemoved: lambda m: view.instances.remove(m.instance_id),
            ConfigureNode: self._node_wish,
            DeleteNode: self._node_wish,
            NodeChanged: self._node_changed,
            NodeRemoved: lambda m: view.nodes.remove(m.node_id),
            GroupChanged: self._groups_changed,
            GroupRemoved: self._groups_changed,
            TemplateChanged: lambda m: view.templates.merge(m.template),
            TemplateRemoved: lambda m: view.templates.remove(m.template_id, m.revision),
        }

    def _instance_wish(self, message: TerminateVM | RestartVM | UpdateVM) -> str | None:
        spec = without_body(message.spec)
        known = self._projection.instances.merge_spec(message.instance_id, message.generation, spec)
        return None if known else message.instance_id

    def _node_wish(self, message: ConfigureNode | DeleteNode) -> str | None:
        known = self._projection.nodes.merge_spec(message.node_id, message.generation, message.spec)
        return None if known else message.node_id

    def _instance_changed(self, message: InstanceChanged) -> None:
        self._projection.instances.merge(
            message.instance_id,
            message.created,
            (message.generation, without_body(message.spec)),
            (message.status_revision, message.status),
        )

    def _node_changed(self, message: NodeChanged) -> None:
        self._projection.nodes.merge(
            message.node_id,
            message.created,
            (message.generation, message.spec),
            (message.status_revision, message.status),
        )

    def _groups_changed(self, _message: GroupChanged | GroupRemoved) -> None:
        """The next reading, within two seconds, is the truth; a message only hurries it."""
        self._groups_revision = -1


def _is_behind(
    known: Mapping[str, tuple[int, int]], identity: str, stored: tuple[int, int]
) -> bool:
    mark = known.get(identity)
    return mark is None or mark[0] < stored[0] or mark[1] < stored[1]
