"""The gateway's questions and wishes about pools, and about members that may be claimed."""

from collections.abc import Mapping, Sequence
from typing import Any

from api_gateway.documents import INSTANCES, POOLS, WITHOUT_OUTBOX
from api_gateway.pools import Pools
from chassis.errors import NotFound
from chassis.store.port import Delete, Insert, Store, Update, Write, plain
from contracts.instances import InstanceDocument, InstanceState
from contracts.pools import PoolDocument


class PoolStore:
    """Over the store port; ``pools`` is moved with it. All raise StoreDown."""

    def __init__(self, store: Store, pools: Pools) -> None:
        self._store = store
        self._pools = pools

    async def reread(self) -> None:
        """Know what others have changed."""
        self._pools.replace(await self.all())

    async def all(self) -> list[PoolDocument]:
        """Every pool, oldest first."""
        return await self._store.find(POOLS, PoolDocument, {}, sort=(("created", 1), ("_id", 1)))

    async def one(self, identity: str) -> PoolDocument:
        """One pool; NotFound."""
        found = await self._store.get(POOLS, PoolDocument, identity)
        if found is None:
            raise NotFound
        return found

    async def add(self, document: PoolDocument, beside: Sequence[Write]) -> None:
        """A new pool and what must be said of it, together."""
        await self._store.transact([Insert(collection=POOLS, document=document), *beside])

    async def change(
        self, known: PoolDocument, sets: Mapping[str, Any], beside: Sequence[Write]
    ) -> None:
        """Change parts of the pool as of ``known``; Conflict when it has moved on."""
        change = {"$set": {k: plain(v) for k, v in sets.items()}, "$inc": {"generation": 1}}
        await self._store.transact(
            [Update(collection=POOLS, where=_as_of(known), change=change), *beside]
        )

    async def remove(self, known: PoolDocument, beside: Sequence[Write]) -> None:
        """Remove the pool as of ``known``; Conflict when it has moved on."""
        seen = Update(collection=POOLS, where=_as_of(known), change={"$inc": {"generation": 1}})
        gone = Delete(collection=POOLS, where={"_id": known.id})
        await self._store.transact([seen, gone, *beside])

    async def ready(self, digest: str) -> list[InstanceDocument]:
        """Members of any pool that run this tag and that nobody has claimed."""
        where = {
            "spec.template.digest": digest,
            "spec.pool_id": {"$exists": True},
            "spec.terminate": {"$ne": True},
            "status.state": InstanceState.STARTED,
        }
        return await self._store.find(INSTANCES, InstanceDocument, where, fields=WITHOUT_OUTBOX)


def claim(member: InstanceDocument, change: Mapping[str, Any]) -> Update:
    """Take a member as it was read: ready still, and nobody has wished anything of it since."""
    return Update(
        collection=INSTANCES,
        where={
            "_id": member.id,
            "generation": member.generation,
            "status.state": InstanceState.STARTED,
        },
        change=change,
    )


def _as_of(known: PoolDocument) -> dict[str, Any]:
    return {"_id": known.id, "generation": known.generation}
