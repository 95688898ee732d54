"""``/api/v1/event`` and ``/api/v1/events``: the event log."""

import platform
from collections.abc import AsyncGenerator

import msgspec

from api_gateway.domain.fields import BadField
from api_gateway.domain.moments import moment_of
from api_gateway.domain.paging import MAX_EVENTS, MAX_SEQUENCE, ORDERS, whole_number
from api_gateway.event_feed import EventFeed
from api_gateway.event_reader import EventReader, Selection
from api_gateway.operation import operation
from api_gateway.public import envelope
from api_gateway.requests.events import EventQuery, ExportQuery, FollowHeaders, FollowQuery
from api_gateway.web import Call, Routes
from chassis.streams import EVENT_STREAM, Stream
from contracts.events import AnyEvent, EventDocument, EventKind, EventType, public_event

_LIMIT = 100
_PAGE = 1000
_LAST_EVENT = "Last-Event-ID"
_LINES = "application/x-ndjson"
_OF_THE_PAST = ("since", "until", "before")
_encode = msgspec.json.Encoder(order="sorted").encode


class EventRoutes:
    """Events in the documented shape, as receivers and ``event.log`` have them."""

    def __init__(self, events: EventReader, feed: EventFeed) -> None:
        self._events = events
        self._feed = feed
        self._machine = platform.node()

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/event": {"GET": self.get},
            "/api/v1/event/export": {"GET": self.export},
            "/api/v1/events": {"GET": self.follow},
        }

    @operation(list[AnyEvent], query=EventQuery)
    async def get(self, call: Call) -> bytes:
        """Events that match every filter; newest first, unless ``after`` or ``order`` say else."""
        selection = _selection(call)
        limit = _number(call, "limit", MAX_EVENTS) or _LIMIT
        order = call.query("order") or ("desc" if selection.after is None else "asc")
        if order not in ORDERS:
            raise BadField("order", f"one of {', '.join(ORDERS)}")
        found = await self._events.select(selection, limit, newest_first=order == "desc")
        return envelope.ok_list([self._encoded(document) for document in found])

    @operation(AnyEvent, query=ExportQuery, media=(_LINES,))
    async def export(self, call: Call) -> Stream:
        """The same without the envelope, an event per line, oldest first: all that match."""
        selection, limit = _selection(call), _number(call, "limit")
        return Stream(pieces=self._lines(selection, limit), content_type=_LINES)

    @operation(AnyEvent, query=FollowQuery, headers=FollowHeaders, media=(EVENT_STREAM,))
    async def follow(self, call: Call) -> Stream:
        """Server-sent events as they happen: those after ``Last-Event-ID`` (or ``after``) first.

        Filters by kind, subject and type. An event's id is its sequence.
        """
        for name in _OF_THE_PAST:
            if call.query(name) is not None:
                raise BadField(name, "nothing here: what is followed goes on")
        selection = _selection(call)
        last = call.header(_LAST_EVENT)
        after = (
            selection.after if last is None else whole_number(_LAST_EVENT, last, 0, MAX_SEQUENCE)
        )
        position = await self._feed.start_of(after)
        return Stream(pieces=self._feed.follow(position, selection), content_type=EVENT_STREAM)

    async def _lines(self, selection: Selection, limit: int | None) -> AsyncGenerator[bytes, None]:
        """A page at a time, each read when the one before was sent."""
        left = MAX_SEQUENCE if limit is None else limit
        while left:
            found = await self._events.select(selection, min(left, _PAGE), newest_first=False)
            yield b"".join([self._encoded(document) + b"\n" for document in found])
            left -= len(found)
            if len(found) < _PAGE:
                return
            selection = msgspec.structs.replace(selection, after=found[-1].sequence)

    def _encoded(self, document: EventDocument) -> bytes:
        return _encode(public_event(document, self._machine))


def _selection(call: Call) -> Selection:
    kinds = tuple(filter(None, (call.query("name") or call.query("kind") or "").split(",")))
    if unknown := sorted(set(kinds) - set(EventKind)):
        raise BadField("name", f"kinds of event, not {', '.join(unknown)}")
    event_type = call.query("type")
    if event_type is not None and event_type not in set(EventType):
        raise BadField("type", f"one of {', '.join(EventType)}")
    return Selection(
        kinds=kinds,
        subject=call.query("subject"),
        event_type=event_type,
        since=moment_of("since", call.query("since")),
        until=moment_of("until", call.query("until")),
        after=_number(call, "after"),
        before=_number(call, "before"),
    )


def _number(call: Call, name: str, most: int = MAX_SEQUENCE) -> int | None:
    text = call.query(name)
    return None if text is None else whole_number(name, text, 0, most)
