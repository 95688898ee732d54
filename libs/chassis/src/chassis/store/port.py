"""The document store as services see it. Structs go in and out, never raw documents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

Where: TypeAlias = Mapping[str, Any]
Change: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """An index; ``partial`` is a filter, ``expire_seconds`` makes it a time-to-live index."""

    collection: str
    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    partial: dict[str, Any] | None = None
    expire_seconds: int | None = None


class Insert(msgspec.Struct, frozen=True, kw_only=True):
    """Add one document."""

    collection: str
    document: msgspec.Struct


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Change one document. ``required``: the write fails as a whole when nothing matches."""

    collection: str
    where: Where
    change: Change
    required: bool = True
    upsert: bool = False


class UpdateMany(msgspec.Struct, frozen=True, kw_only=True):
    """Change every document that matches."""

    collection: str
    where: Where
    change: Change


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """Remove every document that matches."""

    collection: str
    where: Where


Write: TypeAlias = Insert | Update | UpdateMany | Delete


class Store(Protocol):
    """Every call raises StoreDown when the database does not answer in time."""

    async def start(self, indexes: Sequence[Index]) -> None:
        """Make sure the indexes exist."""
        ...

    async def get(self, collection: str, kind: type[T], key: str) -> T | None:
        """The document with this ``_id``."""
        ...

    async def find(
        self,
        collection: str,
        kind: type[T],
        where: Where,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        fields: Sequence[str] = (),
    ) -> list[T]:
        """Documents that match; with ``fields`` only those are fetched (``kind`` must fit)."""
        ...

    async def insert(self, collection: str, documents: Sequence[msgspec.Struct]) -> None:
        """Add documents; Conflict when one exists (the others may have been added)."""
        ...

    async def change(
        self, collection: str, kind: type[T], where: Where, change: Change, *, upsert: bool = False
    ) -> T | None:
        """Change one document and return it as it is afterwards; None when nothing matched."""
        ...

    async def write(self, writes: Sequence[Write]) -> int:
        """Bulk write outside a transaction, order kept per collection; the number matched.

        ``required`` is not looked at here.
        """
        ...

    async def transact(self, writes: Sequence[Write]) -> None:
        """All or nothing, majority-durable. Raises Conflict when a required update matched nothing.

        Transient errors are retried inside. After StoreDown the outcome is unknown.
        """
        ...

    async def count(self, collection: str, where: Where) -> int:
        """How many documents match."""
        ...

    async def now(self) -> datetime:
        """The server's time."""
        ...

    async def stop(self) -> None:
        """Close connections."""
        ...


def literal_update(sets: Mapping[str, Any], **expressions: Any) -> list[dict[str, Any]]:
    """An update pipeline that sets values as they are, beside computed ``expressions``.

    Values are wrapped in ``$literal``: a user's ``$template_name`` is no field path.
    """
    stage: dict[str, Any] = {name: {"$literal": plain(value)} for name, value in sets.items()}
    return [{"$set": stage | expressions}]


def plain(value: Any) -> Any:
    """A struct as the store keeps it: builtins, with dates and bytes native."""
    return msgspec.to_builtins(value, builtin_types=(datetime, bytes))
