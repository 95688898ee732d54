"""What lists of templates say, without the versions: they are most of a template."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chassis.store.port import Store
from registry.store import TEMPLATES


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """That a template is there, and which revision of it."""

    id: str = msgspec.field(name="_id")
    revision: int


class ListedTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """What lists say of a template: the fields of TemplateDocument without its versions."""

    id: str = msgspec.field(name="_id")
    revision: int
    name: str
    arch: str
    size: int = 0
    last_push: datetime | None = None
    last_pull: datetime | None = None


_LISTED = tuple(field.encode_name for field in msgspec.structs.fields(ListedTemplate))


class ListStore:
    """Questions over the store port that touch no version."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def marks(self) -> list[Mark]:
        """Every template's revision, from an index alone."""
        by_index = (("_id", 1), ("revision", 1))
        return await self._store.find(TEMPLATES, Mark, {}, sort=by_index, fields=("revision",))

    async def listed(self, ids: Sequence[str]) -> list[ListedTemplate]:
        """What lists say of these templates."""
        return await self._store.find(
            TEMPLATES, ListedTemplate, {"_id": {"$in": list(ids)}}, fields=_LISTED
        )
