"""What instances and nodes have in common: a stored status and events that must be said."""

import uuid
from datetime import datetime

import msgspec

from contracts.documents import Said, say
from contracts.events import EventHappened, EventKind, EventType, Scalar

_NAMESPACE = uuid.UUID("5a4f7a0e-8f0c-4c52-9f0d-5f6f0b0c9a11")


class Subject:
    """``revision`` is that of the stored status; ``unsaid`` are stored events not yet confirmed."""

    sub_type = ""

    def __init__(self, identity: str, revision: int, outbox: tuple[Said, ...]) -> None:
        self.id = identity
        self.revision = revision
        self.unsaid: list[Said] = list(outbox)
        self._events: list[EventHappened] = []

    def happened(
        self,
        kind: EventKind,
        now: datetime,
        fields: dict[str, Scalar],
        *,
        actor: str = "",
        request_id: str = "",
    ) -> None:
        """Record an event; with a ``request_id`` it is somebody's doing, else the system's.

        Its id is a function of subject, revision and kind, so that a repeat is recognised.
        """
        seed = f"{self.id}/{self.revision + 1}/{kind}/{len(self._events)}"
        self._events.append(
            EventHappened(
                id=str(uuid.uuid5(_NAMESPACE, seed)),
                kind=kind,
                event_type=EventType.API if request_id else EventType.SYSTEM,
                sub_type=self.sub_type,
                subject=self.id,
                at=now,
                actor=actor,
                request_id=request_id,
                fields=fields,
            )
        )

    def say_events(self, machine: str) -> list[Said]:
        """Encode what happened since the last call; it stays ``unsaid`` until confirmed."""
        said = [say(msgspec.structs.replace(event, machine=machine)) for event in self._events]
        self._events.clear()
        self.unsaid += said
        return said

    def confirmed(self, ids: set[str]) -> None:
        """The bus has these messages."""
        self.unsaid = [said for said in self.unsaid if said.id not in ids]
