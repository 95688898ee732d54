"""Which blobs exist and which repository may read them: the documents behind the storage.

A blob has one document, a repository's right to it is a link. Both count a ``revision`` with
whatever relies on them, and are taken away only at the revision at which they were seen unused:

- A pusher reserves the blob before it stores the content, and links it afterwards.
- A manifest, a mount or a HEAD touches the links it relies on, in its own commit.
- The garbage collector condemns a blob that no link names, removes the content, then the
  document. Nothing can be linked to a condemned blob; a pusher waits until it is gone.

So a push that meets a collection either keeps the blob or is told that it is missing.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from chassis.clock import Clock
from chassis.errors import Conflict, Unavailable
from chassis.store.port import Delete, Index, Store, Update, Write
from registry.store import at, key

BLOBS = "blobs"
LINKS = "blob_links"

INDEXES = (
    Index(collection=LINKS, keys=(("digest", 1),)),
    Index(collection=LINKS, keys=(("repository", 1), ("touched", 1))),
    Index(collection=BLOBS, keys=(("checked", 1),)),
    Index(collection=BLOBS, keys=(("condemned", 1),), partial={"condemned": {"$exists": True}}),
)

_TRIES = 100
_WAIT_SECONDS = 0.05


class Lost(Unavailable):
    """The blob was taken away while it was being stored: push it again"""


class BlobDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A blob that is stored or about to be. ``touched``: last time somebody stored or linked it.

    ``born`` tells two blobs of one digest apart, when one was collected in between. ``condemned``
    and ``condemner``: since when which registry is removing it. ``checked``: when its content was
    last compared with its digest; ``claimed``: until when a registry has it to itself for that.
    """

    digest: str = msgspec.field(name="_id")
    size: int
    born: str
    revision: int
    touched: datetime
    checked: datetime
    claimed: datetime | None = None
    condemned: datetime | None = None
    condemner: str = ""


class LinkDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A blob may be read through a repository. ``touched``: last time a push relied on it."""

    id: str = msgspec.field(name="_id")
    repository: str
    digest: str
    size: int
    touched: datetime
    revision: int = 0


class _Size(msgspec.Struct, frozen=True):
    size: int


class Holdings:
    """Typed questions and changes; ``patience`` is how long a reservation holds unrenewed."""

    def __init__(self, store: Store, clock: Clock, patience: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience

    async def start(self) -> None:
        """Make sure the indexes exist."""
        await self._store.start(INDEXES)

    async def stop(self) -> None:
        """Nothing: whoever opened the store closes it."""

    async def link(self, repository: str, digest: str) -> LinkDocument | None:
        """The right of a repository to a blob."""
        return await self._store.get(LINKS, LinkDocument, key(repository, digest))

    async def links(self, repository: str, digests: Iterable[str]) -> list[LinkDocument]:
        """Those of these blobs that the repository has."""
        keys = [key(repository, digest) for digest in digests]
        return await self._store.find(LINKS, LinkDocument, {"_id": {"$in": keys}})

    async def idle_links(self, repository: str, before: datetime) -> list[LinkDocument]:
        """The repository's blobs that no push has relied on since."""
        where = {"repository": repository, "touched": {"$lt": before}}
        return await self._store.find(LINKS, LinkDocument, where)

    async def touch(self, link: LinkDocument) -> bool:
        """A push is about to rely on the link; whether it is still there."""
        change = self._relied_on()
        found = await self._store.change(LINKS, LinkDocument, {"_id": link.id}, change)
        return found is not None

    def relying_on(self, repository: str, digests: Iterable[str]) -> list[Write]:
        """The writes that make a commit fail with Conflict unless the repository has these."""
        return [
            Update(
                collection=LINKS,
                where={"_id": key(repository, digest)},
                change=self._relied_on(),
            )
            for digest in sorted(set(digests))
        ]

    async def release(self, links: Sequence[LinkDocument]) -> None:
        """Take blobs from repositories, but for those relied on since the links were read."""
        await self._store.write(
            [
                Delete(collection=LINKS, where={"_id": link.id, "revision": at(link.revision)})
                for link in links
            ]
        )

    @contextlib.asynccontextmanager
    async def reserved(self, digest: str, size: int) -> AsyncIterator[BlobDocument]:
        """Hold the blob's document while its content is stored; Unavailable when that cannot be."""
        blob = await self._reserve(digest, size)
        renewal = asyncio.create_task(self._renew(blob), name=f"reservation:{digest}")
        try:
            yield blob
        finally:
            renewal.cancel()

    async def grant(self, repository: str, blob: BlobDocument) -> None:
        """Link a blob whose content is stored, under its reservation; Lost when that was broken."""
        try:
            await self._commit_link([], repository, blob.digest, blob.size, born=blob.born)
        except Conflict:
            raise Lost from None

    async def mount(self, link: LinkDocument, repository: str) -> bool:
        """Give what another repository has to this one as well; whether it could be done."""
        relied = self.relying_on(link.repository, [link.digest])
        try:
            await self._commit_link(relied, repository, link.digest, link.size)
        except Conflict:
            return False
        return True

    async def blobs(self, digests: Iterable[str]) -> list[BlobDocument]:
        """The documents of these blobs."""
        return await self._store.find(BLOBS, BlobDocument, {"_id": {"$in": list(digests)}})

    async def enrol(self, sizes: dict[str, int]) -> None:
        """Make documents for content that has none: it is kept for the grace, then unused."""
        for digest, size in sizes.items():
            with contextlib.suppress(Conflict):  # condemned, or reserved meanwhile
                await self._reserve_once(digest, size)

    async def used_bytes(self) -> int:
        """Bytes of all blobs, each counted once."""
        where = {"condemned": {"$exists": False}}
        found = await self._store.find(BLOBS, _Size, where, fields=("size",))
        return sum(blob.size for blob in found)

    async def repository_bytes(self, repository: str) -> int:
        """Bytes of the blobs a repository has."""
        found = await self._store.find(LINKS, _Size, {"repository": repository}, fields=("size",))
        return sum(link.size for link in found)

    async def _reserve(self, digest: str, size: int) -> BlobDocument:
        for _ in range(_TRIES):
            try:
                return await self._reserve_once(digest, size)
            except Conflict:
                await self._clock.sleep(_WAIT_SECONDS)
        raise Unavailable("the blob is being removed: try again later")

    async def _reserve_once(self, digest: str, size: int) -> BlobDocument:
        """Conflict while the blob is condemned: the upsert then meets its id."""
        now = self._clock.now()
        blob = await self._store.change(
            BLOBS,
            BlobDocument,
            {"_id": digest, "condemned": {"$exists": False}},
            {
                "$set": {"size": size, "touched": now},
                "$setOnInsert": {"born": uuid.uuid4().hex, "checked": now},
                "$inc": {"revision": 1},
            },
            upsert=True,
        )
        assert blob is not None
        return blob

    async def _renew(self, blob: BlobDocument) -> None:
        mine = {"_id": blob.digest, "born": blob.born}
        while True:
            await self._clock.sleep(self._patience.total_seconds() / 4)
            with contextlib.suppress(Unavailable):
                await self._store.change(
                    BLOBS,
                    BlobDocument,
                    mine,
                    {"$set": {"touched": self._clock.now()}, "$inc": {"revision": 1}},
                )

    async def _commit_link(
        self, first: Sequence[Write], repository: str, digest: str, size: int, born: str = ""
    ) -> None:
        """Conflict when the blob is condemned or gone, or one of the ``first`` matches nothing."""
        now = self._clock.now()
        alive: dict[str, object] = {"_id": digest, "condemned": {"$exists": False}}
        if born:
            alive["born"] = born
        named = {"repository": repository, "digest": digest, "size": size, "touched": now}
        await self._store.transact(
            [
                *first,
                Update(
                    collection=BLOBS,
                    where=alive,
                    change={"$set": {"touched": now}, "$inc": {"revision": 1}},
                ),
                Update(
                    collection=LINKS,
                    where={"_id": key(repository, digest)},
                    change={"$set": named, "$inc": {"revision": 1}},
                    required=False,
                    upsert=True,
                ),
            ]
        )

    def _relied_on(self) -> dict[str, object]:
        return {"$set": {"touched": self._clock.now()}, "$inc": {"revision": 1}}
