"""Sends parcels to one endpoint, signed, and keeps count of what came of it."""

from datetime import datetime

import msgspec
import structlog
from prometheus_client import Counter, Histogram

from chassis.clock import Clock
from contracts.webhooks import Attempt, HistoryDocument, Outcome
from event_pusher.domain import signature
from event_pusher.domain.endpoint import Endpoint
from event_pusher.domain.history import History
from event_pusher.domain.wire import TYPES, Parcel
from event_pusher.sender import Reply, Sender

DELIVERIES = Counter("corral_event_deliveries_total", "Delivery attempts.", ["outcome"])
SECONDS = Histogram(
    "corral_event_delivery_seconds",
    "From an event to its delivery, retries and replays left out.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)

_log = structlog.get_logger()


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its reply; ``at`` is when it was sent."""

    reply: Reply
    at: datetime
    milliseconds: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a reply; see Attempt."""

    outcome: Outcome
    attempt: int = 1
    due: datetime | None = None
    replay: bool = False


class Post:
    """One endpoint's own connections and its history."""

    def __init__(self, sender: Sender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock
        self._history = History(HistoryDocument(id=""))
        self._counts = {outcome: DELIVERIES.labels(outcome) for outcome in Outcome}

    def remember(self, known: HistoryDocument) -> None:
        """Go on with a stored history."""
        self._history = History(known)

    def news(self) -> HistoryDocument | None:
        """The history, when it is newer than when this was asked last."""
        if not self._history.moved:
            return None
        self._history.moved = False
        return self._history.document()

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._sender.close()

    async def send(self, endpoint: Endpoint, parcel: Parcel) -> Sent:
        """One request; never raises for what a receiver or the network may do."""
        now, began = self._clock.now(), self._clock.monotonic()
        spec = endpoint.spec
        try:
            body = parcel.body(spec.mode)
            keys = endpoint.keys(now)
            headers = signature.headers(keys, parcel.id, int(now.timestamp()), body)
            reply = await self._sender.send(spec.url, body, headers, TYPES[spec.mode])
        except Exception:
            _log.exception("delivery.send_failed", endpoint=endpoint.id)
            reply = Reply(error="the request could not be made")
        taken = self._clock.monotonic() - began
        return Sent(reply=reply, at=now, milliseconds=round(taken * 1000))

    def record(self, endpoint: Endpoint, parcel: Parcel, sent: Sent, verdict: Verdict) -> None:
        """Keep, count and, where it did not arrive, log an attempt."""
        reply = sent.reply
        self._history.add(
            Attempt(
                event_id=parcel.id,
                sequence=parcel.sequence,
                kind=parcel.kind,
                attempt=verdict.attempt,
                at=sent.at,
                milliseconds=sent.milliseconds,
                outcome=verdict.outcome,
                status=reply.status,
                error=reply.error,
                response=reply.excerpt.decode(errors="replace"),
                due=verdict.due,
                replay=verdict.replay,
            )
        )
        self._counts[verdict.outcome].inc()
        if verdict.outcome is not Outcome.DELIVERED:
            _log.warning(
                f"delivery.{verdict.outcome}",
                endpoint=endpoint.id,
                sequence=parcel.sequence,
                status=reply.status,
                error=reply.error,
                attempts=verdict.attempt,
                due=verdict.due,
            )
        elif verdict.attempt == 1 and not verdict.replay:
            SECONDS.observe((self._clock.now() - parcel.at).total_seconds())
