"""Making, changing and removing users' keys."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from chassis.auth import rsa
from chassis.auth.directory import Directory
from chassis.auth.identity import ROOT
from chassis.auth.store import AccessStore
from chassis.clock import Clock
from chassis.errors import Conflict, NotFound, Refused
from chassis.store.port import Insert, Update
from contracts.identity import ApiKeyDocument

MAX_TTL = 2**31 - 1
"""Seconds that a key may live."""

_MAX_NAME = 255
_RESERVED = ROOT.name


class ShownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the documented API shows it."""

    id: str
    groups: tuple[str, ...]
    expiration: datetime
    created: datetime


class Keys:
    """The keys of one service. All raise StoreDown."""

    def __init__(self, store: AccessStore, directory: Directory, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    async def shown(self, identity: str | None = None) -> list[ShownKey]:
        """All keys by name, or one; NotFound."""
        if identity is None:
            return [_shown(key) for key in await self._store.all_keys()]
        key = await self._store.key(identity)
        if key is None:
            raise NotFound
        return [_shown(key)]

    async def create(
        self, identity: str, ttl: int, groups: Sequence[str], public_key: bytes | None
    ) -> str | None:
        """Make a key; the private half if it was made here, which nobody can ask for again.

        Conflict, or Refused for a name that would be mistaken.
        """
        if identity == _RESERVED or len(identity) > _MAX_NAME or not identity.isprintable():
            raise Refused(f"id: expected 1 to {_MAX_NAME} printable characters, not {_RESERVED}")
        private = None
        if public_key is None:
            public, private = await asyncio.to_thread(rsa.generate)
        else:
            public = public_key
        now = self._clock.now()
        key = ApiKeyDocument(
            id=identity,
            public_key=public,
            groups=tuple(groups),
            created=now,
            expires=now + timedelta(seconds=ttl),
            incarnation=str(uuid.uuid4()),
        )
        written = [Insert(collection=self._store.keys, document=key)]
        try:
            await self._directory.write("key", identity, written)
        except Conflict:
            raise Conflict(f"Exists already: key {identity}") from None
        return private

    async def update(self, identity: str, ttl: int | None, groups: Sequence[str] | None) -> None:
        """Change groups, or let it live ``ttl`` seconds from now; sessions follow. NotFound."""
        sets: dict[str, Any] = {}
        if groups is not None:
            sets["groups"] = list(groups)
        if ttl is not None:
            sets["expires"] = self._clock.now() + timedelta(seconds=ttl)
        if not sets:
            await self.shown(identity)
            return
        change = Update(collection=self._store.keys, where={"_id": identity}, change={"$set": sets})
        try:
            await self._directory.write("key", identity, [change])
        except Conflict:
            raise NotFound from None

    async def delete(self, identity: str) -> None:
        """Remove a key, and with it every session. NotFound."""
        await self.shown(identity)
        gone = [self._store.removed(self._store.keys, identity)]
        await self._directory.write("key", identity, gone)

    async def clean(self) -> None:
        """Remove keys that have expired."""
        for key in await self._store.expired_keys(self._clock.now()):
            await self.delete(key.id)


def _shown(key: ApiKeyDocument) -> ShownKey:
    return ShownKey(id=key.id, groups=key.groups, expiration=key.expires, created=key.created)
