"""A lease in the store: one holder at a time, with a fencing epoch. All times are the server's."""

import msgspec
import structlog

from chassis.store.port import Store, Update

LEASES = "leases"
_log = structlog.get_logger()


class LeaseDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds it; ``epoch`` grows with every change of holder. ``commit``: the last one."""

    id: str = msgspec.field(name="_id")
    holder: str = ""
    epoch: int = 0
    commit: str = ""


class Lease:
    """``ttl`` in seconds: a holder that is silent so long is succeeded."""

    def __init__(self, store: Store, name: str, holder: str, ttl: float) -> None:
        self._store = store
        self._name = name
        self._holder = holder
        self._ttl = ttl
        self.epoch = 0

    async def acquire(self) -> bool:
        """Take the lease if it is free or expired; ``epoch`` is ours then."""
        await self._store.write(
            [
                Update(
                    collection=LEASES,
                    where={"_id": self._name},
                    change={"$setOnInsert": {"holder": "", "epoch": 0, "commit": ""}},
                    required=False,
                    upsert=True,
                )
            ]
        )
        free = {
            "_id": self._name,
            "$or": [{"holder": ""}, {"$expr": {"$lt": ["$expires", "$$NOW"]}}],
        }
        taken = await self._store.change(
            LEASES,
            LeaseDocument,
            free,
            [{"$set": {"holder": self._holder, "epoch": {"$add": ["$epoch", 1]}} | self._expiry()}],
        )
        if taken is None:
            return False
        self.epoch = taken.epoch
        _log.info("lease.acquired", lease=self._name, epoch=self.epoch)
        return True

    async def renew(self) -> bool:
        """Extend; False when somebody else has taken over."""
        kept = await self._store.change(
            LEASES, LeaseDocument, self._mine(), [{"$set": self._expiry()}]
        )
        return kept is not None

    async def release(self) -> None:
        """Let a successor in at once."""
        await self._store.change(LEASES, LeaseDocument, self._mine(), {"$set": {"holder": ""}})

    def fence(self, commit: str) -> Update:
        """The first write of every commit: fails when the lease is not ours; extends it."""
        return Update(
            collection=LEASES,
            where=self._mine(),
            change=[{"$set": {"commit": commit} | self._expiry()}],
        )

    async def committed(self, commit: str) -> bool:
        """Whether the commit with this id was the last one applied under our epoch."""
        found = await self._store.get(LEASES, LeaseDocument, self._name)
        return found is not None and found.epoch == self.epoch and found.commit == commit

    def _mine(self) -> dict[str, object]:
        return {"_id": self._name, "holder": self._holder, "epoch": self.epoch}

    def _expiry(self) -> dict[str, object]:
        return {"expires": {"$add": ["$$NOW", int(self._ttl * 1000)]}}
