"""The event log and the state of its receivers, in the document store."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from chassis.errors import Conflict
from chassis.store.port import Index, Insert, Store, Update, plain
from contracts.events import EndpointDocument, EndpointStatus, EventDocument

EVENTS = "events"
ENDPOINTS = "endpoints"
INDEXES = (Index(collection=EVENTS, keys=(("sequence", 1),), unique=True),)


class _Key(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="_id")


class EventStore:
    """The log, as named questions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def prepare(self) -> None:
        """Make sure the indexes exist."""
        await self._store.start(INDEXES)

    async def newest(self) -> int:
        """The highest sequence in the log; 0 when it is empty."""
        found = await self._store.find(EVENTS, EventDocument, {}, sort=[("sequence", -1)], limit=1)
        return found[0].sequence if found else 0

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these events are in the log."""
        where = {"_id": {"$in": list(ids)}}
        return {key.id for key in await self._store.find(EVENTS, _Key, where, fields=["_id"])}

    async def append(self, fence: Update, documents: Iterable[EventDocument]) -> None:
        """All or nothing. Conflict: the fence fell, or an id or sequence is taken."""
        inserts = [Insert(collection=EVENTS, document=document) for document in documents]
        await self._store.transact([fence, *inserts])

    async def after(self, sequence: int, limit: int) -> list[EventDocument]:
        """The next events of the log, in order."""
        return await self._events({"sequence": {"$gt": sequence}}, limit)

    async def these(self, sequences: Sequence[int]) -> list[EventDocument]:
        """The events with these sequences, in order."""
        return await self._events({"sequence": {"$in": list(sequences)}}, 0)

    async def _events(self, where: dict[str, Any], limit: int) -> list[EventDocument]:
        return await self._store.find(
            EVENTS, EventDocument, where, sort=[("sequence", 1)], limit=limit
        )


class EndpointStore:
    """The state of the endpoints; whoever took one last, by lease epoch, may write it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, id: str, newest: int, epoch: int) -> EndpointStatus:
        """The state of an endpoint, ours to write from now on; a new one starts at ``newest``.

        Conflict: an event-pusher with a newer epoch owns it.
        """
        first = EndpointDocument(id=id, status=EndpointStatus(cursor=newest))
        await self._store.write(
            [
                Update(
                    collection=ENDPOINTS,
                    where={"_id": id},
                    change={"$setOnInsert": {"status": plain(first.status)}},
                    required=False,
                    upsert=True,
                )
            ]
        )
        taken = await self._store.change(
            ENDPOINTS, EndpointDocument, _writable(id, epoch), {"$set": {"status.epoch": epoch}}
        )
        if taken is None:
            raise Conflict(f"endpoint {id} has a newer owner than epoch {epoch}")
        return taken.status

    async def save(self, id: str, status: EndpointStatus) -> bool:
        """Store the state; False when an event-pusher with a newer epoch owns it."""
        update = Update(
            collection=ENDPOINTS,
            where=_writable(id, status.epoch),
            change={"$set": {"status": plain(status)}},
        )
        return await self._store.write([update]) > 0


def _writable(id: str, epoch: int) -> dict[str, Any]:
    return {"_id": id, "status.epoch": {"$not": {"$gt": epoch}}}
