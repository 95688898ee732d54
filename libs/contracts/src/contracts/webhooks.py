"""Receivers of events: what was asked of them, and how far they are."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from contracts.events import AnyEvent
from contracts.messages import Fact

Data = TypeVar("Data")

EVENT_LOG = "event-log"
"""The id of the one receiver that the event-pusher's settings name."""

KEY_PREFIX = "whsec_"
"""How a key for signatures begins."""


class Mode(StrEnum):
    """What a request's body is: the event itself, or the event in a CloudEvents 1.0 envelope."""

    PLAIN = "plain"
    CLOUDEVENTS = "cloudevents"


class CloudEvent(msgspec.Struct, Generic[Data], frozen=True, kw_only=True):
    """The envelope of CloudEvents 1.0, structured JSON, around any ``data``."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str = "application/json"
    sequence: str
    data: Data


class EnvelopedEvent(CloudEvent[AnyEvent], frozen=True, kw_only=True):
    """An event in the envelope of CloudEvents 1.0, structured JSON.

    ``sequence`` is the extension of that name: ordered as text. ``data`` is the event itself.
    """


class SignedHeaders(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Headers of Standard Webhooks; ``webhook-id`` is the event's, the same for a repeat.

    ``webhook-timestamp`` in epoch seconds. There is a signature for each key, with blanks between.
    """

    webhook_id: str
    webhook_timestamp: str
    webhook_signature: str | msgspec.UnsetType = msgspec.UNSET


class Secret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key for signatures, as Standard Webhooks writes it: ``whsec_`` and base64.

    ``until``: a predecessor signs beside the current one up to then; None for the current one.
    """

    value: str
    until: datetime | None = None


class Replay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A wish to get past events again: sequences ``first`` to ``last``, in their order.

    ``since`` (inclusive) and ``until`` (exclusive) narrow them by the time of the event.
    ``failed``: only those that were given up. ``number`` counts the wishes of one endpoint.
    """

    number: int
    first: int
    last: int
    since: datetime | None = None
    until: datetime | None = None
    failed: bool = False


class EndpointSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The wish, written by the gateway. ``kinds`` empty: every kind of event.

    ``revision`` grows when somebody changes the endpoint; one that was switched off for its
    failures is then given another chance. ``pings`` counts the tests that were asked for.
    ``replays`` are those not known to be done. ``remove``: the record goes when nobody works
    on it any more.
    """

    url: str = ""
    description: str = ""
    kinds: tuple[str, ...] = ()
    mode: Mode = Mode.PLAIN
    secrets: tuple[Secret, ...] = ()
    enabled: bool = True
    revision: int = 1
    pings: int = 0
    replays: tuple[Replay, ...] = ()
    remove: bool = False


class OpenDelivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that an endpoint has not got yet; ``attempts`` failed, the next one is ``due``."""

    sequence: int
    attempts: int = 0
    due: datetime | None = None


class ReplayProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the replay ``number`` is; as ``cursor`` and ``open`` of the whole."""

    number: int
    cursor: int
    open: tuple[OpenDelivery, ...] = ()


class Cause(StrEnum):
    """Why an endpoint was switched off: it answered 410, or failed for days."""

    GONE = "gone"
    FAILING = "failing"


class Disabled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That an endpoint is switched off, for as long as its spec has this ``revision``."""

    cause: Cause
    at: datetime
    revision: int


class EndpointStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far an endpoint is: every sequence up to ``cursor`` arrived, unless it is in ``open``.

    ``epoch`` is the lease epoch of the event-pusher that wrote it. ``given_up``: sequences whose
    retries are used up, the newest thousand. ``failing_since``: nothing has arrived since then,
    though it was tried. ``pinged`` and ``replayed`` count the wishes that are done.
    """

    cursor: int
    open: tuple[OpenDelivery, ...] = ()
    epoch: int = 0
    observed_generation: int = 0
    given_up: tuple[int, ...] = ()
    failing_since: datetime | None = None
    delivered: datetime | None = None
    disabled: Disabled | None = None
    pinged: int = 0
    replayed: int = 0
    replay: ReplayProgress | None = None


class EndpointDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A receiver of events as stored in ``endpoints``; its status is the event-pusher's.

    There are few, and the event-pusher reads every wish every few seconds: none is ``pending``.
    """

    id: str = msgspec.field(name="_id")
    generation: int = msgspec.field(default_factory=lambda: 1)
    created: datetime | None = None
    spec: EndpointSpec = msgspec.field(default_factory=EndpointSpec)
    status: EndpointStatus


class Outcome(StrEnum):
    """What came of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request to an endpoint. ``milliseconds`` from connecting to the last byte.

    ``status`` 0: no HTTP answer came, ``error`` says why. ``response`` is how the answer's body
    begins. ``attempt`` counts from 1; ``due`` is the next one. A test has sequence 0.
    """

    event_id: str
    sequence: int
    kind: str
    attempt: int
    at: datetime
    milliseconds: int
    outcome: Outcome
    status: int = 0
    error: str = ""
    response: str = ""
    due: datetime | None = None
    replay: bool = False


class HistoryDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last attempts at an endpoint, oldest first, as stored in ``deliveries``.

    ``epoch`` as in EndpointStatus.
    """

    id: str = msgspec.field(name="_id")
    epoch: int = 0
    attempts: tuple[Attempt, ...] = ()


class EndpointChanged(Fact, frozen=True, kw_only=True, tag="endpoint.changed.v1"):
    """The wish of an endpoint has a new generation: read it."""

    endpoint_id: str
    generation: int


def message_id(endpoint_id: str, revision: int, kind: str) -> str:
    """The id of what is said of an endpoint, the same for a repeat."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{endpoint_id}:{revision}:{kind}"))


def ping_id(endpoint_id: str, number: int) -> str:
    """The event id of a test."""
    return message_id(endpoint_id, number, "ping")
