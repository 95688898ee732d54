"""Nodes and their groups as the gateway knows them; see projection."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from api_gateway.domain.occupancy import Occupancy
from api_gateway.domain.paging import Page
from api_gateway.domain.selection import NodeSelection
from api_gateway.entries import Entry, NodeEntry
from api_gateway.listing import Listing, listing_of
from api_gateway.public import nodes as public_nodes
from contracts.groups import GroupDocument
from contracts.nodes import NodeSpec, NodeStatus


class Groups:
    """All node groups; ``revision`` moves with every change."""

    def __init__(self) -> None:
        self.by_id: Mapping[str, GroupDocument] = {}
        self.revision = 0

    def replace(self, documents: Iterable[GroupDocument]) -> None:
        """What the database holds now; there are few, so they are read as a whole."""
        fresh = {document.id: document for document in documents}
        if fresh != self.by_id:
            self.by_id = fresh
            self.revision += 1


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
            return entry.encoded(
                public_nodes.node(entry.id, entry.spec, entry.status, groups, used)
            )
        return entry.flat

    def _encoded(self, entry: NodeEntry) -> tuple[bytes, bytes]:
        return self.encoded(entry), entry.digest

    def _is_selected(self, selection: NodeSelection, entry: NodeEntry) -> bool:
        spec, status = entry.spec, entry.status
        state = public_nodes.state_of(spec, status)
        name = public_nodes.name_of(entry.id, spec, status.facts)
        return selection.takes(state, name, (spec, status), self._groups.by_id)

    def _forget_moved(self) -> None:
        for identity in self._occupancy.moved:
            if (entry := self._entries.get(identity)) is not None:
                entry.forget()
        self._occupancy.moved.clear()

    def listed(
        self, selection: NodeSelection, page: Page, only: frozenset[str] | None = None
    ) -> Listing:
        """The public list, or a part of it; page by page in the order of ids."""
        chosen = [entry for entry in self.known() if only is None or entry.id in only]
        if selection:
            chosen = [entry for entry in chosen if self._is_selected(selection, entry)]
        if not page.whole:
            chosen.sort(key=_place)
        return listing_of(chosen, self._encoded, page, _place)

    def marks(self) -> dict[str, tuple[int, int]]:
        """Id to (generation, status_revision)."""
        return {e.id: (e.generation, e.status_revision) for e in self._entries.values()}


def _place(entry: NodeEntry) -> tuple[int, str]:
    return 0, entry.id
