"""Who gets the events, and what may be told to whom."""

from datetime import datetime

import msgspec

from contracts.events import EventDocument, EventHappened, EventKind, EventType, Scalar
from contracts.webhooks import EVENT_LOG, EndpointSpec, message_id, ping_id
from event_pusher.domain.signature import key_of


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver; ``id`` names it in state and logs, because a URL may hold a secret."""

    id: str
    generation: int
    spec: EndpointSpec

    @property
    def guarded(self) -> bool:
        """Whether its address must be a permitted one: whoever sets the settings is trusted."""
        return self.id != EVENT_LOG

    def wants(self, kind: str) -> bool:
        """Whether it gets events of this kind."""
        return not self.spec.kinds or kind in self.spec.kinds

    def keys(self, now: datetime) -> list[bytes]:
        """What its requests are signed with: the current key first."""
        valid = [s for s in self.spec.secrets if s.until is None or s.until > now]
        return [key_of(secret.value) for secret in sorted(valid, key=lambda s: s.until is not None)]

    def wishing(self, stored: "Endpoint") -> "Endpoint":
        """The endpoint of the settings with what was asked of its record."""
        pings, replays = stored.spec.pings, stored.spec.replays
        spec = msgspec.structs.replace(self.spec, pings=pings, replays=replays)
        return msgspec.structs.replace(self, generation=stored.generation, spec=spec)

    def test(self, number: int, now: datetime) -> EventDocument:
        """What is sent to try the endpoint; it is in no log."""
        fields: dict[str, Scalar] = {"endpoint_id": self.id, "number": number}
        return self._event(EventKind.WEBHOOK_TEST, ping_id(self.id, number), now, fields)

    def switched_off(self, cause: str, now: datetime) -> EventHappened:
        """That its failures switched it off; once for each time that somebody had changed it."""
        identity = message_id(self.id, self.spec.revision, EventKind.WEBHOOK_DISABLED)
        fields: dict[str, Scalar] = {"endpoint_id": self.id, "cause": cause}
        return self._event(EventKind.WEBHOOK_DISABLED, identity, now, fields).event

    def _event(
        self, kind: EventKind, identity: str, now: datetime, fields: dict[str, Scalar]
    ) -> EventDocument:
        event = EventHappened(
            id=identity,
            kind=kind,
            event_type=EventType.SYSTEM,
            sub_type="webhookAction",
            subject=self.id,
            at=now,
            fields=fields,
        )
        return EventDocument(id=identity, sequence=0, event=event)
