"""The settings of the cloud as this gateway knows them: read at once, again, and when changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from api_gateway.contended import contended
from api_gateway.documents import CONFIGURATION
from chassis.store.port import Insert, Store, Update, Write
from contracts.configuration import CLOUD, ConfigurationDocument, as_the_services_were_set

Said: TypeAlias = Callable[[ConfigurationDocument], Sequence[Write]]
"""What is written beside a change: its messages, for an outbox."""


class Configuration:
    """``default_registry``: the address that agents are given unless operators say another.

    ``default_ttl``: of instances that are started without one, as this gateway was set.
    """

    def __init__(self, store: Store, default_registry: str, default_ttl: int) -> None:
        self.default_ttl = default_ttl
        self._store = store
        self._default_registry = default_registry
        self._known: ConfigurationDocument | None = None

    @property
    def now(self) -> ConfigurationDocument:
        """As last read."""
        return self._known or as_the_services_were_set()

    @property
    def registry_address(self) -> str:
        """The address that agents are given, as last read."""
        return self.now.registry_address or self._default_registry

    async def registry(self) -> str:
        """The same, surely read; StoreDown."""
        if self._known is None:
            await self.reread()
        return self.registry_address

    async def reread(self) -> None:
        """Take what other gateways have written."""
        found = await self._store.get(CONFIGURATION, ConfigurationDocument, CLOUD)
        self._known = found or as_the_services_were_set()

    async def change(self, sets: Mapping[str, Any], said: Said) -> None:
        """Set these fields on top of what is stored, together with what is said about that."""

        async def attempt() -> None:
            await self.reread()
            before = self.now
            after = _changed(before, sets)
            await self._store.transact([_write(before, sets), *said(after)])
            self._known = after

        await contended("configuration", attempt)


def _write(before: ConfigurationDocument, sets: Mapping[str, Any]) -> Write:
    if before.generation == 0:
        return Insert(collection=CONFIGURATION, document=_changed(before, sets))
    return Update(
        collection=CONFIGURATION,
        where={"_id": CLOUD, "generation": before.generation},
        change={"$set": {**sets, "generation": before.generation + 1}},
    )


def _changed(before: ConfigurationDocument, sets: Mapping[str, Any]) -> ConfigurationDocument:
    return msgspec.structs.replace(before, generation=before.generation + 1, **sets)
