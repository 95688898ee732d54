"""Where a service keeps keys, permission groups, grants and logins."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chassis.store.port import Delete, Index, Store, Update, Write
from contracts.identity import (
    ApiKeyDocument,
    GrantsDocument,
    LoginDocument,
    PermissionGroupDocument,
)

REVISIONS = "revisions"


class AccessRevision(msgspec.Struct, frozen=True, kw_only=True):
    """Counts the writes to keys, permission groups and grants of a service."""

    id: str = msgspec.field(name="_id")
    revision: int = 0


class AccessStore:
    """The collections of one service, told apart by ``prefix``. All raise StoreDown."""

    def __init__(self, store: Store, prefix: str = "") -> None:
        self._store = store
        self._revision = f"{prefix}access"
        self.keys = f"{prefix}api_keys"
        self.groups = f"{prefix}permission_groups"
        self.grants = f"{prefix}resource_grants"
        self.logins = f"{prefix}logins"

    async def start(self) -> None:
        """Make sure of the indexes, and of the revision that writes are fenced by."""
        await self._store.start(
            [Index(collection=self.logins, keys=(("expires", 1),), expire_seconds=0)]
        )
        fresh = Update(
            collection=REVISIONS,
            where={"_id": self._revision},
            change={"$setOnInsert": {"revision": 0}},
            required=False,
            upsert=True,
        )
        await self._store.write([fresh])

    async def revision(self) -> int:
        """Grows with every write."""
        found = await self._store.get(REVISIONS, AccessRevision, self._revision)
        return found.revision if found else 0

    async def write(self, writes: Sequence[Write]) -> None:
        """Change keys, groups or grants as one. Conflict as in Store."""
        counted = Update(
            collection=REVISIONS, where={"_id": self._revision}, change={"$inc": {"revision": 1}}
        )
        await self._store.transact([counted, *writes])

    async def all_keys(self) -> list[ApiKeyDocument]:
        """All keys, by name."""
        return await self._store.find(self.keys, ApiKeyDocument, {}, sort=[("_id", 1)])

    async def key(self, identity: str) -> ApiKeyDocument | None:
        """One key."""
        return await self._store.get(self.keys, ApiKeyDocument, identity)

    async def expired_keys(self, now: datetime) -> list[ApiKeyDocument]:
        """Keys whose time is over."""
        return await self._store.find(self.keys, ApiKeyDocument, {"expires": {"$lte": now}})

    async def all_groups(self) -> list[PermissionGroupDocument]:
        """All permission groups, by name."""
        return await self._store.find(self.groups, PermissionGroupDocument, {}, sort=[("_id", 1)])

    async def group(self, name: str) -> PermissionGroupDocument | None:
        """One permission group."""
        return await self._store.get(self.groups, PermissionGroupDocument, name)

    async def granted(self, name: str) -> GrantsDocument | None:
        """The grants of one group."""
        return await self._store.get(self.grants, GrantsDocument, name)

    async def all_grants(self) -> list[GrantsDocument]:
        """The grants of every group that has some."""
        return await self._store.find(self.grants, GrantsDocument, {}, sort=[("_id", 1)])

    async def add_login(self, login: LoginDocument) -> None:
        """Remember that a secret was given out."""
        await self._store.insert(self.logins, [login])

    async def login(self, identity: str) -> LoginDocument | None:
        """A session, or a secret that is still to be used."""
        return await self._store.get(self.logins, LoginDocument, identity)

    async def trade(
        self, identity: str, key_id: str, now: datetime, token_sha256: bytes, expires: datetime
    ) -> LoginDocument | None:
        """Make a session of a secret, once; None when it is unknown, used or too old."""
        return await self._store.change(
            self.logins,
            LoginDocument,
            {
                "_id": identity,
                "key_id": key_id,
                "token_sha256": {"$exists": False},
                "expires": {"$gt": now},
            },
            {"$set": {"token_sha256": token_sha256, "expires": expires}},
        )

    def removed(self, collection: str, identity: str) -> Write:
        """Part of a write: a key, group or grants go."""
        return Delete(collection=collection, where={"_id": identity})
