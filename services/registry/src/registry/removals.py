"""How manifests and blobs end, and when content was last checked: what background work asks."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from chassis.clock import Clock
from chassis.store.port import Delete, Store, Update, Write
from registry.domain.garbage import Node, Verdict
from registry.folder import Folder
from registry.holdings import BLOBS, LINKS, BlobDocument, LinkDocument
from registry.store import MANIFESTS, at

_ALIVE = {"$exists": False}
_TAKEN_OVER = timedelta(hours=1)
"""A removal that its registry has not ended for so long is another's: that registry is gone."""

_CHECK_AGAIN = timedelta(hours=1)


class _InRepository(msgspec.Struct, frozen=True):
    repository: str


class Removals:
    """Condemned blobs are removed by the registry that condemned them, and by no other."""

    def __init__(self, store: Store, folder: Folder, clock: Clock) -> None:
        self._store = store
        self._folder = folder
        self._clock = clock

    async def repositories(self) -> list[str]:
        """Every repository that has manifests or blobs."""
        found: set[str] = set()
        for collection in (MANIFESTS, LINKS):
            last = ""
            while last := await self._next_repository(collection, last):
                found.add(last)
        return sorted(found)

    async def nodes_of(self, repository: str) -> list[Node]:
        """The manifests of a repository, without their content."""
        fields = [field.encode_name for field in msgspec.structs.fields(Node)]
        return await self._store.find(MANIFESTS, Node, {"repository": repository}, fields=fields)

    async def mark(self, verdict: Verdict) -> None:
        """Write down what becomes of manifests, each only as it was seen."""
        now = self._clock.now()
        writes: list[Write] = [
            *(_orphaned(node, now) for node in verdict.orphaned),
            *(_orphaned(node, None) for node in verdict.wanted_again),
            *(Delete(collection=MANIFESTS, where=_seen(node)) for node in verdict.dropped),
        ]
        if writes:
            await self._store.write(writes)

    async def idle(self, before: datetime, after: str, limit: int) -> list[BlobDocument]:
        """Blobs that nobody stored or linked since, by digest, beyond ``after``."""
        where = {"_id": {"$gt": after}, "touched": {"$lt": before}, "condemned": _ALIVE}
        return await self._store.find(BLOBS, BlobDocument, where, sort=(("_id", 1),), limit=limit)

    async def linked(self, digests: Iterable[str]) -> dict[str, list[str]]:
        """Which repositories have each of these blobs."""
        found: dict[str, list[str]] = {}
        where = {"digest": {"$in": list(digests)}}
        for link in await self._store.find(LINKS, LinkDocument, where):
            found.setdefault(link.digest, []).append(link.repository)
        return found

    async def condemn(self, blob: BlobDocument) -> bool:
        """Claim a blob that no link names for removal; False when it was relied on meanwhile."""
        seen = {"_id": blob.digest, "revision": blob.revision, "condemned": _ALIVE}
        return await self._claim(seen)

    async def unfinished(self) -> Sequence[BlobDocument]:
        """Condemned blobs that are ours to remove; those of a registry long gone become ours."""
        stale = self._clock.now() - _TAKEN_OVER
        where = {
            "condemned": {"$exists": True},
            "$or": [{"condemner": self._folder.identity}, {"condemned": {"$lt": stale}}],
        }
        found = await self._store.find(BLOBS, BlobDocument, where)
        return [
            blob
            for blob in found
            if blob.condemner == self._folder.identity
            or await self._claim({"_id": blob.digest, "condemned": blob.condemned})
        ]

    async def forget(self, blob: BlobDocument) -> None:
        """The content is gone: so is the document."""
        mine = {"_id": blob.digest, "born": blob.born, "condemner": self._folder.identity}
        await self._store.write([Delete(collection=BLOBS, where=mine)])

    async def to_check(self, before: datetime, rate: int) -> BlobDocument | None:
        """The blob unchecked for longest, since ``before`` at least; it is the caller's to check.

        One whose check does not end comes up again an hour after it should have, at ``rate`` bytes
        a second.
        """
        now = self._clock.now()
        due = {"checked": {"$lt": before}, "claimed": {"$not": {"$gt": now}}, "condemned": _ALIVE}
        found = await self._store.find(BLOBS, BlobDocument, due, sort=(("checked", 1),), limit=1)
        for blob in found:
            until = now + _CHECK_AGAIN + timedelta(seconds=blob.size / rate)
            return await self._store.change(
                BLOBS, BlobDocument, due | {"_id": blob.digest}, {"$set": {"claimed": until}}
            )
        return None

    async def checked(self, blob: BlobDocument) -> None:
        """Its content was compared with its digest, whatever came of it."""
        mine = {"_id": blob.digest, "born": blob.born}
        change = {"$set": {"checked": self._clock.now()}, "$unset": {"claimed": ""}}
        await self._store.change(BLOBS, BlobDocument, mine, change)

    async def is_as_seen(self, blob: BlobDocument) -> bool:
        """Whether nobody has stored or linked it since."""
        seen = {"_id": blob.digest, "revision": blob.revision}
        return bool(await self._store.find(BLOBS, BlobDocument, seen, limit=1))

    async def unclaim(self, blob: BlobDocument) -> None:
        """Nothing is known of it: the next may check it at once."""
        mine = {"_id": blob.digest, "claimed": blob.claimed}
        await self._store.change(BLOBS, BlobDocument, mine, {"$unset": {"claimed": ""}})

    async def _next_repository(self, collection: str, after: str) -> str:
        where = {"repository": {"$gt": after}}
        found = await self._store.find(
            collection,
            _InRepository,
            where,
            sort=(("repository", 1),),
            limit=1,
            fields=("repository",),
        )
        return found[0].repository if found else ""

    async def _claim(self, where: dict[str, object]) -> bool:
        change = {
            "$set": {"condemned": self._clock.now(), "condemner": self._folder.identity},
            "$inc": {"revision": 1},
        }
        return await self._store.change(BLOBS, BlobDocument, where, change) is not None


def _seen(node: Node) -> dict[str, object]:
    return {"_id": node.id, "revision": at(node.revision)}


def _orphaned(node: Node, since: datetime | None) -> Write:
    change = {"$set": {"orphaned": since}}
    return Update(collection=MANIFESTS, where=_seen(node), change=change, required=False)
