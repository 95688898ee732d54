"""Wishes about many instances at once."""

from collections.abc import Sequence
from typing import Any

from api_gateway.documents import INSTANCES, WITHOUT_OUTBOX, Marks
from api_gateway.domain.bulk import Bulk
from api_gateway.wishes import GROWN, wish
from chassis.store.port import Store, UpdateMany
from contracts.instances import InstanceDocument


class BulkStore:
    """Over the store port. All raise StoreDown."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def select(self, bulk: Bulk) -> list[str]:
        """Ids of the instances that have all that is asked for, oldest first."""
        found = await self._store.find(
            INSTANCES,
            Marks,
            _where(bulk),
            fields=("generation",),
            sort=[("created", 1), ("_id", 1)],
        )
        return [marks.id for marks in found]

    async def terminate(
        self, ids: Sequence[str], actor: str, request_id: str
    ) -> list[InstanceDocument]:
        """Wish them gone in one write; those that exist, as they are then."""
        these = {"_id": {"$in": list(ids)}}
        update = UpdateMany(
            collection=INSTANCES,
            where=these | {"spec.terminate": {"$ne": True}},
            change={"$set": wish(actor, request_id, {"terminate": True}), **GROWN},
        )
        await self._store.write([update])
        return await self._store.find(INSTANCES, InstanceDocument, these, fields=WITHOUT_OUTBOX)


def _where(bulk: Bulk) -> dict[str, Any]:
    where: dict[str, Any] = {"spec.pool_id": None}
    if bulk.external_id is not None:
        where["spec.external_id"] = bulk.external_id
    if bulk.group_id is not None:
        where["spec.group_id"] = bulk.group_id
    if bulk.metadata:
        # A key may look like a path or an operator, so it is no part of a field's name here.
        values = [
            {"$eq": [_value_of(key), {"$literal": value}]} for key, value in bulk.metadata.items()
        ]
        where["$expr"] = {"$and": values}
    return where


def _value_of(key: str) -> dict[str, Any]:
    return {"$getField": {"field": {"$literal": key}, "input": "$spec.metadata"}}
