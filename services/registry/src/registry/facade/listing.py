"""The lists of templates, encoded once.

A look at every template's revision costs little and is not older than half a second, so that
registries on one database agree; own commits show at once. Only what moved is read anew.
"""

import asyncio
from collections.abc import Callable, Container
from typing import Any

import msgspec

from chassis.clock import Clock
from registry.facade import shapes
from registry.list_store import ListedTemplate, ListStore
from registry.templates import Templates

_TRUSTED_SECONDS = 0.5
_encode = msgspec.json.Encoder().encode


class Listing:
    """Every template, by name, as both versions of the API list them."""

    def __init__(self, store: ListStore, templates: Templates, clock: Clock) -> None:
        self._store = store
        self._templates = templates
        self._clock = clock
        self._known: dict[str, ListedTemplate] = {}
        self._looked_at: float | None = None
        self._commits = 0
        self._one = asyncio.Lock()
        self._v1 = self._v2 = msgspec.Raw(b"[]")

    async def v1(self, only: frozenset[str] | None = None) -> msgspec.Raw:
        """One-key objects of id and name, of all or some templates."""
        await self._look()
        return self._v1 if only is None else _array(self._some(only), _named)

    async def v2(self, only: frozenset[str] | None = None) -> msgspec.Raw:
        """Objects with size, architecture and dates, of all or some templates."""
        await self._look()
        return self._v2 if only is None else _array(self._some(only), shapes.listed)

    async def _look(self) -> None:
        """Lists that come while one looks share what it sees."""
        if self._is_fresh():
            return
        async with self._one:
            if self._is_fresh():
                return
            at, commits = self._clock.monotonic(), self._templates.commits
            await self._read()
            self._looked_at, self._commits = at, commits

    def _is_fresh(self) -> bool:
        return (
            self._looked_at is not None
            and self._clock.monotonic() - self._looked_at < _TRUSTED_SECONDS
            and self._commits == self._templates.commits
        )

    async def _read(self) -> None:
        revisions = {mark.id: mark.revision for mark in await self._store.marks()}
        kept = {
            identity: item
            for identity, item in self._known.items()
            if revisions.get(identity) == item.revision
        }
        moved = sorted(revisions.keys() - kept.keys())
        if not moved and len(kept) == len(self._known):
            return
        fresh = await self._store.listed(moved) if moved else []
        self._known = kept | {item.id: item for item in fresh}
        self._v1 = _array(self._some(self._known), _named)
        self._v2 = _array(self._some(self._known), shapes.listed)

    def _some(self, only: Container[str]) -> list[ListedTemplate]:
        """These templates, in order."""
        found = [item for item in self._known.values() if item.id in only]
        return sorted(found, key=lambda item: (item.name, item.id))


def _named(item: ListedTemplate) -> dict[str, Any]:
    return {item.id: item.name}


def _array(
    items: list[ListedTemplate], shape: Callable[[ListedTemplate], dict[str, Any]]
) -> msgspec.Raw:
    return msgspec.Raw(_encode([shape(item) for item in items]))
