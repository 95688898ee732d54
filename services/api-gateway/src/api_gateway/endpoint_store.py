"""The gateway's questions and wishes about receivers of events."""

from collections.abc import Mapping, Sequence
from typing import Any

from api_gateway.documents import DELIVERIES, ENDPOINTS
from chassis.store.port import Insert, Store, Update, Write, plain
from contracts.webhooks import EndpointDocument, HistoryDocument


class EndpointStore:
    """Over the store port. All raise StoreDown."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[EndpointDocument]:
        """Every endpoint that is not wished gone, oldest first."""
        where = {"spec.remove": {"$ne": True}}
        return await self._store.find(
            ENDPOINTS, EndpointDocument, where, sort=[("created", 1), ("_id", 1)]
        )

    async def one(self, identity: str) -> EndpointDocument | None:
        """An endpoint that is not wished gone."""
        found = await self._store.get(ENDPOINTS, EndpointDocument, identity)
        return found if found and not found.spec.remove else None

    async def history(self, identity: str) -> HistoryDocument:
        """The last attempts at an endpoint."""
        found = await self._store.get(DELIVERIES, HistoryDocument, identity)
        return found or HistoryDocument(id=identity)

    async def add(self, document: EndpointDocument, beside: Sequence[Write]) -> None:
        """A new endpoint and what must be said of it, together."""
        await self._store.transact([Insert(collection=ENDPOINTS, document=document), *beside])

    async def wish(
        self, known: EndpointDocument, sets: Mapping[str, Any], beside: Sequence[Write]
    ) -> None:
        """Change parts of the wish as of ``known``; Conflict when it has moved on."""
        change = {
            "$set": {f"spec.{name}": plain(value) for name, value in sets.items()},
            "$inc": {"generation": 1},
        }
        where = {"_id": known.id, "generation": known.generation}
        await self._store.transact(
            [Update(collection=ENDPOINTS, where=where, change=change), *beside]
        )
