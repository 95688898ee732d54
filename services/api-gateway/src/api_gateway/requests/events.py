"""Requests about the event log and its receivers."""

from typing import Annotated

import msgspec

from api_gateway.domain.http_url import HTTP_URL
from api_gateway.domain.paging import MAX_EVENTS, MAX_SEQUENCE, ORDERS
from api_gateway.domain.webhook_request import (
    KINDS,
    LONGEST_DESCRIPTION,
    LONGEST_OVERLAP,
    LONGEST_URL,
    SECRET,
)
from api_gateway.requests.values import (
    EventSequence,
    MomentText,
    Text,
    entire,
    entire_or_empty,
    one_of,
)
from contracts.events import EventType
from contracts.webhooks import Mode, Outcome

_Secret = Annotated[str, msgspec.Meta(pattern=entire_or_empty(SECRET))]
_Url = Annotated[str, msgspec.Meta(pattern=entire_or_empty(HTTP_URL), max_length=LONGEST_URL)]
_Replayed = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQUENCE)]
_Kinds = Annotated[str, msgspec.Meta(description="Kinds of event, separated by commas.")]


class FollowQuery(msgspec.Struct, kw_only=True):
    """Filters of what happens; all must hold."""

    name: _Kinds | None = None
    kind: Annotated[str, msgspec.Meta(description="Another name of ``name``.")] | None = None
    subject: (
        Annotated[str, msgspec.Meta(description="Of an instance, node, group or template.")] | None
    ) = None
    type: EventType | None = None
    after: Annotated[EventSequence, msgspec.Meta(description="Events behind this one.")] | None = (
        None
    )


class FollowHeaders(msgspec.Struct, kw_only=True):
    """Where an interrupted stream goes on; it wins over ``after``."""

    last_event_id: EventSequence | None = msgspec.field(name="Last-Event-ID", default=None)


class ExportQuery(FollowQuery, kw_only=True):
    """Filters of the log; ``since`` inclusive, ``until`` exclusive."""

    since: MomentText | None = None
    until: MomentText | None = None
    before: EventSequence | None = None
    limit: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)] | None = None


class EventQuery(ExportQuery, kw_only=True):
    """Filters of the log, and how much of it."""

    limit: Annotated[int, msgspec.Meta(ge=0, le=MAX_EVENTS)] | None = None
    order: Annotated[str, one_of(ORDERS)] | None = None


class WebhookChanges(msgspec.Struct, kw_only=True):
    """What is not given stays. ``kinds`` empty: all."""

    url: _Url | None = None
    description: Annotated[str, msgspec.Meta(max_length=LONGEST_DESCRIPTION)] | None = None
    kinds: tuple[Annotated[str, one_of(KINDS)], ...] | None = None
    mode: Mode | None = None
    enabled: bool | None = None


class NewWebhook(WebhookChanges, kw_only=True):
    """A receiver of events; a key is made unless it brings one."""

    url: Annotated[str, msgspec.Meta(pattern=entire(HTTP_URL), max_length=LONGEST_URL)]
    secret: _Secret | None = None


class Rotation(msgspec.Struct, kw_only=True):
    """Another key, made unless it is given; the one before signs for ``overlap`` more seconds."""

    id: Text
    secret: _Secret | None = None
    overlap: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_OVERLAP)] | None = None


class ReplayRequest(msgspec.Struct, kw_only=True):
    """Exactly one of: an event, sequences, times, what was given up."""

    id: Text
    event_id: str | None = None
    first: _Replayed | None = None
    last: _Replayed | None = None
    since: MomentText | None = None
    until: MomentText | None = None
    failed: bool | None = None


class DeliveryQuery(msgspec.Struct, kw_only=True):
    """Attempts at one webhook."""

    id: Text
    event_id: str | None = None
    outcome: Outcome | None = None
