"""Keys, permission groups and grants in memory, as of their last revision."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from chassis.auth.store import AccessStore
from chassis.store.port import Write
from contracts.identity import ApiKeyDocument, Grant

_log = structlog.get_logger()


class Announcer(Protocol):
    """Tells other replicas that something was written; they find out by themselves as well."""

    def writes(self) -> Sequence[Write]:
        """Part of the transaction: what will be said."""
        ...

    async def flush(self) -> None:
        """Say it, or leave it for later."""
        ...


class Silence:
    """For a service whose replicas find out in time."""

    def writes(self) -> Sequence[Write]:
        """See Announcer."""
        return ()

    async def flush(self) -> None:
        """See Announcer."""


class Directory:
    """Read anew whenever the revision in the database moved: every two seconds at most.

    ``revision`` is -1 until the first reading; then nobody but root is known.
    """

    def __init__(self, store: AccessStore, announcer: Announcer) -> None:
        self._store = store
        self._announcer = announcer
        self._one = asyncio.Lock()
        self.revision = -1
        self.keys: dict[str, ApiKeyDocument] = {}
        self.permissions: dict[str, tuple[str, ...]] = {}
        self.grants: dict[str, tuple[Grant, ...]] = {}

    async def reread(self) -> None:
        """Read what is newer, all or nothing. StoreDown leaves everything as it was."""
        async with self._one:
            revision = await self._store.revision()
            if revision == self.revision:
                return
            keys, groups, grants = await asyncio.gather(
                self._store.all_keys(), self._store.all_groups(), self._store.all_grants()
            )
            self.keys = {key.id: key for key in keys}
            self.permissions = {group.id: group.permissions for group in groups}
            self.grants = {held.id: held.resources for held in grants}
            self.revision = revision

    async def write(self, what: str, name: str, writes: Sequence[Write]) -> None:
        """Change the documents as one, know it and tell others. Conflict as in Store."""
        await self._store.write([*writes, *self._announcer.writes()])
        _log.info("access.written", what=what, name=name)
        await self.reread()
        await self._announcer.flush()
