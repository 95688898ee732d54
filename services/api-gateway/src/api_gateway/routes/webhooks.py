"""``/api/v1/webhook``: receivers of events."""

import secrets
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from api_gateway.contended import contended
from api_gateway.domain.fields import BadField, Fields
from api_gateway.domain.moments import moment_of
from api_gateway.domain.paging import MAX_SEQUENCE
from api_gateway.domain.webhook_request import (
    read_changes,
    read_new,
    read_secret,
    rotated,
)
from api_gateway.endpoint_store import EndpointStore
from api_gateway.event_reader import EventReader, Selection
from api_gateway.happened import happened
from api_gateway.operation import operation
from api_gateway.outbox import Outbox
from api_gateway.outgoing import Outgoing
from api_gateway.public import envelope
from api_gateway.public.cloud import TestSent
from api_gateway.public.webhooks import PublicWebhook
from api_gateway.public.webhooks import attempt as encode_attempt
from api_gateway.public.webhooks import webhook as encode
from api_gateway.requests.events import (
    DeliveryQuery,
    NewWebhook,
    ReplayRequest,
    Rotation,
    WebhookChanges,
)
from api_gateway.requests.values import ById, PerhapsById
from api_gateway.web import Call, Routes
from chassis.clock import Clock
from chassis.errors import NotFound, Refused
from contracts.events import EventHappened, EventKind
from contracts.webhooks import (
    EVENT_LOG,
    KEY_PREFIX,
    Attempt,
    EndpointChanged,
    EndpointDocument,
    EndpointStatus,
    Outcome,
    Replay,
    message_id,
    ping_id,
)

Decide: TypeAlias = Callable[[EndpointDocument], Mapping[str, Any]]
"""From the endpoint as stored to what is to be set in its wish."""

_MOST_REPLAYS = 20
_KEY_BYTES = 32
_OUTCOMES = tuple(Outcome)


class WebhookRoutes:
    """Everything that can be asked of webhooks. Each write is fenced by the generation."""

    def __init__(
        self,
        endpoints: EndpointStore,
        events: EventReader,
        outbox: Outbox,
        outgoing: Outgoing,
        clock: Clock,
    ) -> None:
        self._endpoints = endpoints
        self._events = events
        self._outbox = outbox
        self._outgoing = outgoing
        self._clock = clock

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/webhook": {
                "GET": self.get,
                "POST": self.create,
                "PUT": self.update,
                "DELETE": self.delete,
            },
            "/api/v1/webhook/rotate": {"POST": self.rotate},
            "/api/v1/webhook/test": {"POST": self.test},
            "/api/v1/webhook/replay": {"POST": self.replay},
            "/api/v1/webhook/deliveries": {"GET": self.deliveries},
        }

    @operation((PublicWebhook, list[PublicWebhook]), query=PerhapsById)
    async def get(self, call: Call) -> bytes:
        """All webhooks; with ``id`` one."""
        identity, now = call.query("id"), self._clock.now()
        if identity is not None:
            return envelope.ok(encode(await self._known(identity), now))
        return envelope.ok_list([encode(known, now) for known in await self._endpoints.all()])

    @operation(PublicWebhook, body=NewWebhook)
    async def create(self, call: Call) -> bytes:
        """Make a webhook: it gets every event from now on. The answer has the key, this once."""
        spec = read_new(await call.fields(), _new_secret())
        now = self._clock.now()
        document = EndpointDocument(
            id=str(uuid.uuid4()),
            created=now,
            spec=spec,
            status=EndpointStatus(cursor=await self._events.newest()),
        )
        event = self._event(EventKind.WEBHOOK_CREATED, document, call)
        await self._endpoints.add(document, self._outbox.writes([event]))
        await self._say(document.id, document.generation)
        return envelope.ok(encode(document, now, spec.secrets[0].value))

    @operation(query=ById, body=WebhookChanges)
    async def update(self, call: Call) -> bytes:
        """Change the given parts; one that was disabled is given another chance."""
        identity = call.required_query("id")
        sets = read_changes(await call.fields())

        def decide(known: EndpointDocument) -> Mapping[str, Any]:
            return {**sets, "revision": known.spec.revision + 1}

        await self._change(_changeable(identity), decide, call, EventKind.WEBHOOK_UPDATED)
        return envelope.OK

    @operation(either=ById)
    async def delete(self, call: Call) -> bytes:
        """Send it nothing any more."""
        identity = (await call.parameters()).required_text("id")
        await self._change(
            _changeable(identity), lambda _: {"remove": True}, call, EventKind.WEBHOOK_DELETED
        )
        return envelope.OK

    @operation(PublicWebhook, body=Rotation)
    async def rotate(self, call: Call) -> bytes:
        """Another key; the one before it signs too for ``overlap`` more seconds."""
        fields = await call.fields()
        identity = _changeable(fields.required_text("id"))
        secret = read_secret(fields) or _new_secret()
        now = self._clock.now()

        def decide(known: EndpointDocument) -> Mapping[str, Any]:
            return {"secrets": rotated(known.spec.secrets, secret, fields, now)}

        await self._change(identity, decide, call, EventKind.WEBHOOK_UPDATED)
        return envelope.ok(encode(await self._known(identity), now, secret))

    @operation(TestSent, body=ById)
    async def test(self, call: Call) -> bytes:
        """Send it a WebhookTest, even if it is paused; the deliveries show what came of it."""
        identity = (await call.fields()).required_text("id")

        def decide(known: EndpointDocument) -> Mapping[str, Any]:
            return {"pings": known.spec.pings + 1}

        known = await self._change(identity, decide, call)
        event_id = ping_id(identity, known.spec.pings + 1)
        return envelope.ok(msgspec.json.encode(TestSent(event_id=event_id)))

    @operation(Replay, body=ReplayRequest)
    async def replay(self, call: Call) -> bytes:
        """Send events again that are in the log; they keep their ids."""
        fields = await call.fields()
        identity = fields.required_text("id")
        await self._known(identity)
        chosen = await self._chosen(fields)

        def decide(known: EndpointDocument) -> Mapping[str, Any]:
            waiting = [r for r in known.spec.replays if r.number > known.status.replayed]
            if len(waiting) >= _MOST_REPLAYS:
                raise Refused(f"{len(waiting)} replays are waiting already")
            return {"replays": [*waiting, _numbered(chosen, known)]}

        known = await self._change(identity, decide, call)
        return envelope.ok(msgspec.json.encode(msgspec.to_builtins(_numbered(chosen, known))))

    @operation(list[Attempt], query=DeliveryQuery)
    async def deliveries(self, call: Call) -> bytes:
        """The last attempts, newest first."""
        identity = call.required_query("id")
        event_id, outcome = call.query("event_id"), call.query("outcome")
        if outcome is not None and outcome not in _OUTCOMES:
            raise BadField("outcome", f"one of {', '.join(_OUTCOMES)}")
        await self._known(identity)
        history = await self._endpoints.history(identity)
        return envelope.ok_list(
            [
                encode_attempt(known)
                for known in reversed(history.attempts)
                if event_id in {None, known.event_id} and outcome in {None, known.outcome}
            ]
        )

    async def _known(self, identity: str) -> EndpointDocument:
        known = await self._endpoints.one(identity)
        if known is None:
            raise NotFound
        return known

    async def _change(
        self, identity: str, decide: Decide, call: Call, kind: EventKind | None = None
    ) -> EndpointDocument:
        """Decide on the endpoint as it is, and write; the endpoint as it was decided on."""

        async def attempt() -> EndpointDocument:
            known = await self._known(identity)
            grown = msgspec.structs.replace(known, generation=known.generation + 1)
            events = [self._event(kind, grown, call)] if kind else []
            await self._endpoints.wish(known, decide(known), self._outbox.writes(events))
            return known

        known = await contended("webhook", attempt)
        await self._say(identity, known.generation + 1)
        return known

    async def _say(self, identity: str, generation: int) -> None:
        self._outgoing.send([EndpointChanged(endpoint_id=identity, generation=generation)])
        await self._outbox.flush_now()

    def _event(self, kind: EventKind, document: EndpointDocument, call: Call) -> EventHappened:
        fields = {"endpoint_id": document.id, "description": document.spec.description}
        identity = message_id(document.id, document.generation, kind)
        subject = ("webhookAction", document.id)
        return happened(call, kind, subject, fields, identity=identity, at=self._clock.now())

    async def _chosen(self, fields: Fields) -> Replay:
        """Exactly one of: ``event_id``, sequences, times, ``failed``. BadField, Refused."""
        event_id, failed = fields.text("event_id"), fields.flag("failed")
        first = fields.integer("first", 1, MAX_SEQUENCE)
        last = fields.integer("last", 1, MAX_SEQUENCE)
        since = moment_of("since", fields.text("since"))
        until = moment_of("until", fields.text("until"))
        ways = (event_id is not None, failed, bool(first or last), bool(since or until))
        if sum(map(bool, ways)) != 1:
            raise BadField("body", "one of event_id, failed, first and last, since and until")
        if event_id is not None:
            event = await self._events.one(event_id)
            span = (event.sequence, event.sequence) if event else None
        elif since or until:
            span = await self._events.span(Selection(since=since, until=until))
        else:
            before = last + 1 if last else None
            span = await self._events.span(Selection(after=(first or 1) - 1, before=before))
        if span is None:
            raise Refused("Not found: no such event in the log")
        return Replay(
            number=0, first=span[0], last=span[1], since=since, until=until, failed=bool(failed)
        )


def _numbered(chosen: Replay, known: EndpointDocument) -> Replay:
    numbers = [replay.number for replay in known.spec.replays]
    number = max([known.status.replayed, *numbers]) + 1
    return msgspec.structs.replace(chosen, number=number)


def _changeable(identity: str) -> str:
    if identity == EVENT_LOG:
        raise Refused(f"{EVENT_LOG} is the receiver that the event-pusher's settings name")
    return identity


def _new_secret() -> str:
    return KEY_PREFIX + b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
