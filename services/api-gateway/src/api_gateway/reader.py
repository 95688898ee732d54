"""Reads: from the projection, and from the database where the projection may lack something."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from api_gateway.domain.paging import Page
from api_gateway.domain.selection import InstanceSelection, NodeSelection
from api_gateway.entries import InstanceEntry, NodeEntry
from api_gateway.listing import Listing
from api_gateway.projection import Projection
from api_gateway.store import GatewayStore
from api_gateway.sync import Sync
from api_gateway.unheard import Unheard
from chassis.errors import NotFound, Unavailable
from contracts.groups import GroupDocument
from contracts.instances import InstanceStatus


class Reader:
    """Answers from memory. An id that is missing there is looked up before it is NotFound."""

    def __init__(self, projection: Projection, sync: Sync, store: GatewayStore) -> None:
        self._view = projection
        self._sync = sync
        self._store = store
        self._unheard = Unheard(projection, sync, store)

    async def instances(
        self, selection: InstanceSelection, page: Page, pool_id: str | None = None
    ) -> Listing:
        """The public list, with what other gateways have accepted up to now, or a part of it.

        ``pool_id``: what this pool keeps instead.
        """
        await self._settle()
        if page.whole and not selection and pool_id is None:
            return self._view.instances.listed()
        return self._view.instances.selected(selection, page, pool_id)

    async def members(self) -> Mapping[str, list[InstanceStatus]]:
        """Pool to what it keeps that nobody has claimed and nobody wishes gone."""
        await self._settle()
        return self._view.instances.kept()

    async def instance(self, identity: str) -> InstanceEntry:
        """One instance; NotFound."""
        entry = self._view.instances.get(identity)
        if entry is not None and self._sync.fresh:
            return entry
        try:
            return await self.stored_instance(identity)
        except Unavailable:
            if entry is None:
                raise
            return entry

    async def instance_after(
        self, entry: InstanceEntry, known: Callable[[InstanceEntry], bool], seconds: float
    ) -> InstanceEntry:
        """An instance as soon as it is not ``known`` any more, or after ``seconds``; NotFound."""
        loop, watch = asyncio.get_running_loop(), self._view.instances.watch
        end = loop.time() + seconds
        while known(entry) and not watch.ended and (left := end - loop.time()) > 0:
            await watch.wait(entry.id, left)
            entry = await self.instance(entry.id)
        return entry

    async def stored_instance(self, identity: str) -> InstanceEntry:
        """One instance as the database has it; NotFound."""
        if identity not in self._view.instances.removed:
            document = await self._store.instance(identity)
            if document is not None:
                self._sync.take_instances([document])
        entry = self._view.instances.get(identity)
        if entry is None:
            raise NotFound
        return entry

    def flat(self, entry: InstanceEntry) -> bytes:
        """The public object of one instance."""
        return self._view.instances.flat(entry)

    async def nodes(
        self, selection: NodeSelection, page: Page, only: frozenset[str] | None = None
    ) -> Listing:
        """The public list, or a part of it; ``only`` those of some nodes."""
        await self._sync.wait_loaded()
        return self._view.nodes.listed(selection, page, only)

    async def node(self, identity: str) -> NodeEntry:
        """One node; NotFound names it."""
        entry = self._view.nodes.get(identity)
        if entry is None:
            document = await self._store.node(identity)
            if document is not None:
                self._sync.take_nodes([document])
            entry = self._view.nodes.get(identity)
        if entry is None:
            raise NotFound(f"Not found: node {identity}")
        return entry

    def encoded_node(self, entry: NodeEntry) -> bytes:
        """The public object of one node."""
        return self._view.nodes.encoded(entry)

    def capabilities(self) -> Iterator[Collection[str]]:
        """What each known node can do beyond running a VM; most starts do not ask."""
        for node in self._view.nodes.known():
            yield node.status.facts.capabilities

    async def groups(self) -> Sequence[GroupDocument]:
        """All node groups."""
        await self._sync.wait_loaded()
        return tuple(self._view.groups.by_id.values())

    async def group(self, identity: str) -> GroupDocument:
        """One group; NotFound names it."""
        found = self._view.groups.by_id.get(identity)
        if found is None:
            await self._sync.reread_groups()
            found = self._view.groups.by_id.get(identity)
        if found is None:
            raise NotFound(f"Not found: group {identity}")
        return found

    async def _settle(self) -> None:
        if self._sync.fresh:
            await self._unheard.read()
            return
        await self._sync.wait_loaded()
        try:
            await self._sync.read_pending()
        except Unavailable:
            return  # nobody can have accepted anything that is missing here
