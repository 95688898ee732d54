"""What the gateway knows, in memory, ready to be answered.

Spec and status of a document move separately, each by its own counter, so that messages may come
doubled, late or out of order. JSON is encoded at the first read after a change.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Generic, TypeVar

from api_gateway.domain.occupancy import Occupancy
from api_gateway.groups import Groups
from api_gateway.pools import Pools
from api_gateway.public import instances as public_instances
from api_gateway.public import nodes as public_nodes
from api_gateway.tombstones import Tombstones
from chassis.clock import Clock
from contracts.instances import InstanceSpec, InstanceStatus
from contracts.nodes import NodeSpec, NodeStatus
from contracts.templates import TemplateDocument

SpecT = TypeVar("SpecT", InstanceSpec, NodeSpec)
StatusT = TypeVar("StatusT", InstanceStatus, NodeStatus)


class Entry(Generic[SpecT, StatusT]):
    """A document's wish and world with their counters, and their cached encodings."""

    __slots__ = (
        "created",
        "flat",
        "generation",
        "id",
        "spec",
        "status",
        "status_revision",
        "wrapped",
    )

    def __init__(
        self,
        identity: str,
        created: datetime,
        spec: tuple[int, SpecT],
        status: tuple[int, StatusT],
    ) -> None:
        self.id = identity
        self.created = created
        self.generation = spec[0]
        self.spec: SpecT = spec[1]
        self.status_revision = status[0]
        self.status: StatusT = status[1]
        self.flat: bytes | None = None
        self.wrapped: bytes | None = None

    def merge_spec(self, generation: int, spec: SpecT) -> bool:
        """Take a newer wish; whether it was one."""
        if generation <= self.generation:
            return False
        self.generation, self.spec = generation, spec
        self.forget()
        return True

    def merge_status(self, revision: int, status: StatusT) -> bool:
        """Take a newer state of the world; whether it was one."""
        if revision <= self.status_revision:
            return False
        self.status_revision, self.status = revision, status
        self.forget()
        return True

    def forget(self) -> None:
        """Encode anew at the next read."""
        self.flat = self.wrapped = None


InstanceEntry = Entry[InstanceSpec, InstanceStatus]
NodeEntry = Entry[NodeSpec, NodeStatus]


class Instances:
    """All instances, in order of arrival; those removed are remembered for a while."""

    def __init__(self, clock: Clock, occupancy: Occupancy) -> None:
        self._entries: dict[str, InstanceEntry] = {}
        self._occupancy = occupancy
        self._listed: list[bytes] | None = None
        self.removed = Tombstones(clock)

    def __iter__(self) -> Iterator[InstanceEntry]:
        return iter(self._entries.values())

    def get(self, identity: str) -> InstanceEntry | None:
        """The instance, if known."""
        return self._entries.get(identity)

    def ids(self) -> set[str]:
        """Every id known."""
        return set(self._entries)

    def known(self) -> Collection[InstanceEntry]:
        """Every instance."""
        return self._entries.values()

    def merge(
        self,
        identity: str,
        created: datetime,
        spec: tuple[int, InstanceSpec],
        status: tuple[int, InstanceStatus],
    ) -> None:
        """Take what is newer; an id that was removed does not come back."""
        if identity in self.removed:
            return
        entry = self._entries.get(identity)
        if entry is None:
            entry = self._entries[identity] = Entry(identity, created, spec, status)
            changed = True
        else:
            changed = entry.merge_spec(*spec) | entry.merge_status(*status)
        if changed:
            self._listed = None
            self._occupancy.account(identity, entry.spec, entry.status)

    def merge_spec(self, identity: str, generation: int, spec: InstanceSpec) -> bool:
        """Take a newer wish; False when the instance is not known."""
        entry = self._entries.get(identity)
        if entry is None:
            return identity in self.removed
        if entry.merge_spec(generation, spec):
            self._listed = None
        return True

    def remove(self, identity: str) -> None:
        """The record is gone for good."""
        self.removed.add(identity)
        self._occupancy.drop(identity)
        if self._entries.pop(identity, None) is not None:
            self._listed = None

    def flat(self, entry: InstanceEntry) -> bytes:
        """The public object."""
        if entry.flat is None:
            entry.flat = public_instances.flat(entry.id, entry.created, entry.spec, entry.status)
        return entry.flat

    def listed(self) -> list[bytes]:
        """Every element of the public list: without what pools keep for nobody yet."""
        if self._listed is None:
            self._listed = [self.wrapped(e) for e in self._entries.values() if not e.spec.pool_id]
        return self._listed

    def kept(self, pool_id: str) -> list[InstanceEntry]:
        """What a pool keeps that nobody has claimed."""
        return [entry for entry in self._entries.values() if entry.spec.pool_id == pool_id]

    def encode(self, ids: Iterable[str]) -> None:
        """Encode these now, so that the next list need not."""
        for entry in filter(None, map(self._entries.get, ids)):
            self.wrapped(entry)

    def marks(self) -> dict[str, tuple[int, int]]:
        """Id to (generation, status_revision)."""
        return {e.id: (e.generation, e.status_revision) for e in self._entries.values()}

    def wrapped(self, entry: InstanceEntry) -> bytes:
        """The element of the public list."""
        if entry.wrapped is None:
            entry.wrapped = public_instances.wrapped(entry.id, entry.spec, self.flat(entry))
        return entry.wrapped


class Nodes:
    """All nodes; one that was removed may join again under its id, as a younger document."""

    def __init__(self, groups: Groups, occupancy: Occupancy) -> None:
        self._entries: dict[str, NodeEntry] = {}
        self._occupancy = occupancy
        self._groups = groups
        self._groups_seen = 0
        self._removed: dict[str, datetime] = {}

    def get(self, identity: str) -> NodeEntry | None:
        """The node, unless somebody wishes it gone."""
        entry = self._entries.get(identity)
        return None if entry is None or entry.spec.remove else entry

    def known(self) -> list[NodeEntry]:
        """Every node that nobody wishes gone."""
        return [entry for entry in self._entries.values() if not entry.spec.remove]

    def merge(
        self,
        identity: str,
        created: datetime,
        spec: tuple[int, NodeSpec],
        status: tuple[int, NodeStatus],
    ) -> None:
        """Take what is newer; a younger document replaces an older one of the same id."""
        buried = self._removed.get(identity)
        if buried is not None and created <= buried:
            return
        entry = self._entries.get(identity)
        if entry is None or created > entry.created:
            self._entries[identity] = Entry(identity, created, spec, status)
        elif created == entry.created:
            entry.merge_spec(*spec)
            entry.merge_status(*status)

    def merge_spec(self, identity: str, generation: int, spec: NodeSpec) -> bool:
        """Take a newer wish; False when the node is not known."""
        entry = self._entries.get(identity)
        if entry is not None:
            entry.merge_spec(generation, spec)
        return entry is not None

    def remove(self, identity: str) -> None:
        """The record is gone."""
        entry = self._entries.pop(identity, None)
        if entry is not None:
            self._removed[identity] = entry.created

    def encoded(self, entry: NodeEntry) -> bytes:
        """The public object."""
        self._forget_moved()
        if self._groups.revision != self._groups_seen:
            self._groups_seen = self._groups.revision
            for known in self._entries.values():
                known.forget()
        if entry.flat is None:
            groups = self._groups.by_id
            used = self._occupancy.of(entry.id)
            entry.flat = public_nodes.node(entry.id, entry.spec, entry.status, groups, used)
        return entry.flat

    def _forget_moved(self) -> None:
        for identity in self._occupancy.moved:
            if (entry := self._entries.get(identity)) is not None:
                entry.forget()
        self._occupancy.moved.clear()

    def listed(self, only: frozenset[str] | None = None) -> list[bytes]:
        """Every element of the public list, or those of some nodes."""
        return [self.encoded(entry) for entry in self.known() if only is None or entry.id in only]

    def marks(self) -> dict[str, tuple[int, int]]:
        """Id to (generation, status_revision)."""
        return {e.id: (e.generation, e.status_revision) for e in self._entries.values()}


class Templates:
    """All templates with their tags."""

    def __init__(self) -> None:
        self.by_id: dict[str, TemplateDocument] = {}
        self._removed: dict[str, int] = {}

    def merge(self, document: TemplateDocument) -> None:
        """Take what is newer."""
        known = self.by_id.get(document.id)
        if known is not None and known.revision >= document.revision:
            return
        if document.revision > self._removed.get(document.id, -1):
            self.by_id[document.id] = document

    def stored(self, document: TemplateDocument) -> None:
        """Take what the database holds: it is the truth, also after a removal."""
        self._removed.pop(document.id, None)
        self.merge(document)

    def remove(self, identity: str, revision: int) -> None:
        """The template is gone, unless it is known to have come back since."""
        known = self.by_id.get(identity)
        if known is None or known.revision <= revision:
            self.by_id.pop(identity, None)
            self._removed[identity] = revision

    def marks(self) -> dict[str, tuple[int, int]]:
        """Id to (revision, 0)."""
        return {document.id: (document.revision, 0) for document in self.by_id.values()}


class Projection:
    """Everything the gateway answers reads from."""

    def __init__(self, clock: Clock) -> None:
        self.groups = Groups()
        self.occupancy = Occupancy()
        self.instances = Instances(clock, self.occupancy)
        self.nodes = Nodes(self.groups, self.occupancy)
        self.templates = Templates()
        self.pools = Pools()
