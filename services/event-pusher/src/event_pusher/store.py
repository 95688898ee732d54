"""The event log and the state of its receivers, in the document store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chassis.errors import Conflict
from chassis.store.port import Delete, Index, Insert, Store, Update, plain
from contracts.events import EventDocument
from contracts.webhooks import (
    EndpointDocument,
    EndpointSpec,
    EndpointStatus,
    HistoryDocument,
)

EVENTS = "events"
ENDPOINTS = "endpoints"
DELIVERIES = "deliveries"
INDEXES = (
    Index(collection=EVENTS, keys=(("sequence", 1),), unique=True),
    Index(collection=EVENTS, keys=(("event.subject", 1), ("sequence", 1))),
    Index(collection=EVENTS, keys=(("event.kind", 1), ("sequence", 1))),
    Index(collection=EVENTS, keys=(("event.at", 1),)),
)


class _Key(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="_id")


class _Place(msgspec.Struct, frozen=True):
    sequence: int


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint without its state."""

    id: str = msgspec.field(name="_id")
    generation: int = 1
    spec: EndpointSpec = EndpointSpec()


class EventStore:
    """The log, as named questions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def prepare(self) -> None:
        """Make sure the indexes exist."""
        await self._store.start(INDEXES)

    async def newest(self) -> int:
        """The highest sequence in the log; 0 when it is empty."""
        return await self._place({}, -1)

    async def oldest(self, since: datetime | None = None) -> int:
        """The lowest sequence in the log, of events from ``since`` on; 0 when there is none."""
        return await self._place({"event.at": {"$gte": since}} if since else {}, 1)

    async def drop_below(self, sequence: int) -> None:
        """Remove the events before this one."""
        where = {"sequence": {"$lt": sequence}}
        await self._store.write([Delete(collection=EVENTS, where=where)])

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

    async def _place(self, where: dict[str, Any], direction: int) -> int:
        sort, fields = [("sequence", direction)], ("sequence",)
        found = await self._store.find(EVENTS, _Place, where, sort=sort, limit=1, fields=fields)
        return found[0].sequence if found else 0

    async def _events(self, where: dict[str, Any], limit: int) -> list[EventDocument]:
        return await self._store.find(
            EVENTS, EventDocument, where, sort=[("sequence", 1)], limit=limit
        )


class EndpointStore:
    """The state of the endpoints; whoever took one last, by lease ``epoch``, may write it."""

    def __init__(self, store: Store, epoch: int) -> None:
        self._store = store
        self._epoch = epoch

    async def wishes(self) -> list[Wish]:
        """Every endpoint as it is wished."""
        return await self._store.find(ENDPOINTS, Wish, {}, fields=("generation", "spec"))

    async def ensure(self, id: str, newest: int) -> None:
        """Make the record of an endpoint that the settings name; it starts at ``newest``.

        One of an older version gets the generation that wishes are fenced by.
        """
        first = {"generation": 1, "status": plain(EndpointStatus(cursor=newest))}
        made = Update(
            collection=ENDPOINTS,
            where={"_id": id},
            change={"$setOnInsert": first},
            required=False,
            upsert=True,
        )
        brought_up = Update(
            collection=ENDPOINTS,
            where={"_id": id, "generation": {"$exists": False}},
            change={"$set": {"generation": 1}},
            required=False,
        )
        await self._store.write([made])
        await self._store.write([brought_up])

    async def take(self, id: str) -> EndpointStatus:
        """The state of an endpoint, ours to write from now on.

        Conflict: an event-pusher with a newer epoch owns it.
        """
        taken = await self._store.change(
            ENDPOINTS,
            EndpointDocument,
            self._ours(id),
            {"$set": {"status.epoch": self._epoch}},
        )
        if taken is None:
            raise Conflict(f"endpoint {id} is gone, or has a newer owner than {self._epoch}")
        return taken.status

    async def save(self, states: Mapping[str, EndpointStatus]) -> int:
        """Store states; how many were ours to write."""
        return await self._store.write(
            [
                Update(
                    collection=ENDPOINTS,
                    where=self._ours(name),
                    change={"$set": {"status": plain(status) | {"epoch": self._epoch}}},
                    required=False,
                )
                for name, status in states.items()
            ]
        )

    async def save_histories(self, histories: Sequence[HistoryDocument]) -> None:
        """Store the last attempts of some endpoints, where they are ours to write."""
        await self._store.write(
            [
                Update(
                    collection=DELIVERIES,
                    where=self._our_history(history.id),
                    change={"$set": {"attempts": plain(history.attempts)}},
                    required=False,
                )
                for history in histories
            ]
        )

    async def take_history(self, id: str) -> HistoryDocument:
        """The last attempts at an endpoint, ours to write from now on. Conflict: see take."""
        taken = await self._store.change(
            DELIVERIES,
            HistoryDocument,
            self._our_history(id),
            {"$set": {"epoch": self._epoch}, "$setOnInsert": {"attempts": []}},
            upsert=True,
        )
        assert taken is not None
        return taken

    async def remove(self, id: str) -> None:
        """Forget an endpoint that is wished gone."""
        await self._store.write(
            [
                Delete(collection=DELIVERIES, where={"_id": id}),
                Delete(collection=ENDPOINTS, where=self._ours(id) | {"spec.remove": True}),
            ]
        )

    def _ours(self, id: str) -> dict[str, Any]:
        return {"_id": id, "status.epoch": self._not_newer()}

    def _our_history(self, id: str) -> dict[str, Any]:
        return {"_id": id, "epoch": self._not_newer()}

    def _not_newer(self) -> dict[str, Any]:
        return {"$not": {"$gt": self._epoch}}
