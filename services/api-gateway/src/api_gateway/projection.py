"""What the gateway knows, in memory, ready to be answered.

Spec and status of a document move separately, each by its own counter, so that messages may come
doubled, late or out of order. JSON is encoded at the first read after a change.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from api_gateway.domain.occupancy import Occupancy
from api_gateway.domain.paging import Page
from api_gateway.domain.selection import InstanceSelection
from api_gateway.entries import Entry, InstanceEntry
from api_gateway.listing import Listing, listing_of, tag_of
from api_gateway.node_view import Groups, Nodes
from api_gateway.pools import Pools
from api_gateway.public import instances as public_instances
from api_gateway.tombstones import Tombstones
from api_gateway.watch import Watch
from chassis.clock import Clock
from contracts.instances import InstanceSpec, InstanceStatus
from contracts.templates import TemplateDocument

_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Instances:
    """All instances, oldest first; those removed are remembered for a while."""

    def __init__(self, clock: Clock, occupancy: Occupancy) -> None:
        self._entries: dict[str, InstanceEntry] = {}
        self._occupancy = occupancy
        self._listed: Listing | None = None
        self._newest = (0, "")
        self._in_order = True
        self.removed = Tombstones(clock)
        self.watch = Watch()

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
            age = _age(entry)
            self._in_order &= age > self._newest
            self._newest = max(age, self._newest)
            changed = True
        else:
            changed = entry.merge_spec(*spec) | entry.merge_status(*status)
        if changed:
            self._moved(identity)
            self._occupancy.account(identity, entry.spec, entry.status)

    def merge_spec(self, identity: str, generation: int, spec: InstanceSpec) -> bool:
        """Take a newer wish; False when the instance is not known."""
        entry = self._entries.get(identity)
        if entry is None:
            return identity in self.removed
        if entry.merge_spec(generation, spec):
            self._moved(identity)
        return True

    def remove(self, identity: str) -> None:
        """The record is gone for good."""
        self.removed.add(identity)
        self._occupancy.drop(identity)
        if self._entries.pop(identity, None) is not None:
            self._moved(identity)

    def flat(self, entry: InstanceEntry) -> bytes:
        """The public object."""
        return entry.flat or entry.encoded(
            public_instances.flat(entry.id, entry.created, entry.spec, entry.status)
        )

    def listed(self) -> Listing:
        """The public list: without what pools keep for nobody yet."""
        if self._listed is None:
            entries = self._by_age()
            items = [self.wrapped(entry) for entry in entries]
            tag = tag_of((entry.digest for entry in entries), len(items))
            self._listed = Listing(items, tag, len(items))
        return self._listed

    def selected(
        self, selection: InstanceSelection, page: Page, pool_id: str | None = None
    ) -> Listing:
        """A part of the public list, or of what a pool keeps."""
        chosen = self._by_age(pool_id)
        if selection:
            chosen = [entry for entry in chosen if _is_selected(selection, entry)]
        return listing_of(chosen, self._encoded, page, _age)

    def kept(self) -> Mapping[str, list[InstanceStatus]]:
        """Pool to what it keeps that nobody has claimed and nobody wishes gone."""
        found: defaultdict[str, list[InstanceStatus]] = defaultdict(list)
        for entry in self._entries.values():
            if entry.spec.pool_id is not None and not entry.spec.terminate:
                found[entry.spec.pool_id].append(entry.status)
        return dict(found)

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

    def _by_age(self, pool_id: str | None = None) -> list[InstanceEntry]:
        """All that somebody has asked for, or what a pool keeps."""
        if not self._in_order:  # seldom: most arrive in the order of their age
            entries = sorted(self._entries.values(), key=_age)
            self._entries = {entry.id: entry for entry in entries}
            self._in_order = True
        return [entry for entry in self._entries.values() if entry.spec.pool_id == pool_id]

    def _moved(self, identity: str) -> None:
        self._listed = None
        self.watch.moved(identity)

    def _encoded(self, entry: InstanceEntry) -> tuple[bytes, bytes]:
        return self.wrapped(entry), entry.digest


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


def _age(entry: InstanceEntry) -> tuple[int, str]:
    return (entry.created - _EPOCH) // _MILLISECOND, entry.id


def _is_selected(selection: InstanceSelection, entry: InstanceEntry) -> bool:
    state = public_instances.state_of(entry.spec, entry.status)
    return selection.takes(state, entry.spec, entry.status)
