"""Online garbage collection: beside pushes, pulls, and other registries that do the same.

Three steps, each safe on its own and left at any point: manifests that nothing reaches, links
that no manifest needs, content that no link names. What is taken away was seen unused first and
is taken only as it was seen (see Holdings); nothing is ever closed for writing.
"""

from datetime import datetime, timedelta

import structlog

from chassis.clock import Clock
from chassis.errors import Unavailable
from registry.blobs import Blobs
from registry.domain import garbage as domain
from registry.holdings import BlobDocument, Holdings
from registry.metrics import COLLECTED, FREED
from registry.removals import Removals
from registry.room import Room
from registry.store import RegistryStore

_PAGE = 1000
_log = structlog.get_logger()


class Garbage:
    """``grace``: how long what is unused stays, for pushes and pulls under way."""

    def __init__(
        self,
        store: RegistryStore,
        holdings: Holdings,
        removals: Removals,
        blobs: Blobs,
        room: Room,
        clock: Clock,
        grace: timedelta,
    ) -> None:
        self._store = store
        self._holdings = holdings
        self._removals = removals
        self._blobs = blobs
        self._room = room
        self._clock = clock
        self._grace = grace

    async def start(self) -> None:
        """End the removals that an earlier process of this registry began: pushers wait for it."""
        try:
            await self._finish()
        except Unavailable as error:
            _log.warning("gc.waiting", error=str(error))

    async def stop(self) -> None:
        """Nothing: the rest is done by the next sweep."""

    async def sweep(self) -> None:
        """Take away what is unused for longer than the grace."""
        before = self._clock.now() - self._grace
        await self._finish()
        for repository in await self._removals.repositories():
            while await self._drop_manifests(repository, before):
                pass
        await self._enrol()
        await self._drop_blobs(before)

    async def _drop_manifests(self, repository: str, before: datetime) -> bool:
        """Judge the manifests, then release the links none needs; True when to look once more.

        The order of the questions matters: a push counts up the link or manifest that it relies
        on together with what refers to it, so whatever is read later than that is up to date.
        """
        links = await self._holdings.idle_links(repository, before)
        nodes = await self._removals.nodes_of(repository)
        tagged = {tag.digest for tag in await self._store.tags(repository)}
        verdict = domain.judge(nodes, tagged, before)
        await self._removals.mark(verdict)
        if verdict.dropped:
            COLLECTED.labels("manifest").inc(len(verdict.dropped))
            _log.info("gc.manifests_dropped", repository=repository, count=len(verdict.dropped))
            return True
        used = {digest for node in nodes for digest in node.blobs}
        await self._holdings.release([link for link in links if link.digest not in used])
        return False

    async def _drop_blobs(self, before: datetime) -> None:
        last = ""
        while page := await self._removals.idle(before, last, _PAGE):
            last = page[-1].digest
            linked = await self._removals.linked(blob.digest for blob in page)
            for blob in page:
                if blob.digest not in linked and await self._removals.condemn(blob):
                    await self._remove(blob)

    async def _finish(self) -> None:
        for blob in await self._removals.unfinished():
            await self._remove(blob)

    async def _remove(self, blob: BlobDocument) -> None:
        await self._blobs.remove(blob.digest)
        await self._removals.forget(blob)
        self._room.freed(blob.size)
        FREED.inc(blob.size)
        COLLECTED.labels("blob").inc()
        _log.info("gc.blob_removed", digest=blob.digest, bytes=blob.size)

    async def _enrol(self) -> None:
        """Content without a document: left by a push that was cut off, or by an older version."""
        async for sizes in self._blobs.stored():
            known = {blob.digest for blob in await self._holdings.blobs(sizes)}
            unknown = {digest: size for digest, size in sizes.items() if digest not in known}
            if unknown:
                _log.info("gc.unknown_content", count=len(unknown), bytes=sum(unknown.values()))
                await self._holdings.enrol(unknown)
