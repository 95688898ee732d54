"""The pool of MAC addresses in the database: the gateway writes whether it shall be empty."""

from api_gateway.documents import MAC_POOL
from api_gateway.wishes import GROWN, wish
from chassis.errors import Refused
from chassis.store.port import Store
from contracts.macs import POOL, MacPoolDocument

_NOT_MANAGED = "MAC addresses are not managed (CORRAL_MANAGE_MAC_ADDRESSES)"


class MacStore:
    """The pool belongs to the scheduler, which writes what it is. All raise StoreDown."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pool(self) -> MacPoolDocument:
        """The pool; Refused while addresses are not managed."""
        found = await self._store.get(MAC_POOL, MacPoolDocument, POOL)
        if found is None or not found.status.managed:
            raise Refused(_NOT_MANAGED)
        return found

    async def purge(self, actor: str, request_id: str, *, purged: bool) -> MacPoolDocument:
        """Wish the pool empty, or filled; Refused as above."""
        changed = await self._store.change(
            MAC_POOL,
            MacPoolDocument,
            {"_id": POOL, "status.managed": True},
            {"$set": wish(actor, request_id, {"purged": purged}), **GROWN},
        )
        if changed is None:
            raise Refused(_NOT_MANAGED)
        return changed
