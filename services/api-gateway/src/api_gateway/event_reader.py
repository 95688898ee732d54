"""The event log, read with filters."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from api_gateway.documents import EVENTS
from chassis.store.port import Store
from contracts.events import EventDocument, EventHappened


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which events; what is not given selects all. ``since`` inclusive, ``until`` exclusive."""

    kinds: tuple[str, ...] = ()
    subject: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int | None = None
    before: int | None = None

    def takes(self, event: EventHappened) -> bool:
        """Whether the event is of the kinds, subject and type asked for."""
        return (
            (not self.kinds or event.kind in self.kinds)
            and self.subject in {None, event.subject}
            and self.event_type in {None, event.event_type}
        )


class EventReader:
    """Questions to the log, which is the event-pusher's. All raise StoreDown."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def select(
        self, selection: Selection, limit: int, *, newest_first: bool
    ) -> list[EventDocument]:
        """At most ``limit`` events, by sequence."""
        order = -1 if newest_first else 1
        return await self._store.find(
            EVENTS, EventDocument, _where(selection), sort=[("sequence", order)], limit=limit
        )

    async def one(self, identity: str) -> EventDocument | None:
        """The event with this id."""
        return await self._store.get(EVENTS, EventDocument, identity)

    async def span(self, selection: Selection) -> tuple[int, int] | None:
        """The first and the last sequence of a selection; None when it is empty."""
        first = await self.select(selection, 1, newest_first=False)
        last = await self.select(selection, 1, newest_first=True)
        return (first[0].sequence, last[0].sequence) if first and last else None

    async def newest(self) -> int:
        """The highest sequence in the log; 0 when it is empty."""
        span = await self.select(Selection(), 1, newest_first=True)
        return span[0].sequence if span else 0


def _where(selection: Selection) -> Mapping[str, Any]:
    where: dict[str, Any] = {}
    if selection.kinds:
        where["event.kind"] = {"$in": list(selection.kinds)}
    if selection.subject is not None:
        where["event.subject"] = selection.subject
    if selection.event_type is not None:
        where["event.event_type"] = selection.event_type
    bounds: dict[str, dict[str, object]] = {
        "event.at": {"$gte": selection.since, "$lt": selection.until},
        "sequence": {"$gt": selection.after, "$lt": selection.before},
    }
    for name, ends in bounds.items():
        if given := {word: end for word, end in ends.items() if end is not None}:
            where[name] = given
    return where
