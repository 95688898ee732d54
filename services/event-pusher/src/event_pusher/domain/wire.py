"""An event as receivers and ``event.log`` see it: one JSON object, keys in alphabetical order.

In CloudEvents mode the same object is the ``data`` of a structured CloudEvents 1.0 message.
"""

from datetime import datetime

import msgspec

from contracts.events import EventDocument, public_event
from contracts.webhooks import CloudEvent, Mode

_sorted = msgspec.json.Encoder(order="sorted").encode
_encode = msgspec.json.Encoder().encode

TYPES = {Mode.PLAIN: "application/json", Mode.CLOUDEVENTS: "application/cloudevents+json"}
"""The content type of each mode."""


class Parcel(msgspec.Struct, kw_only=True):
    """An event ready to travel: its place in the log, whose order it keeps, its JSON.

    Encoded once for all endpoints; ``machine`` names the controller's host.
    """

    sequence: int
    id: str
    subject: str
    kind: str
    at: datetime
    machine: str
    plain: bytes
    enveloped: bytes = b""

    def body(self, mode: Mode) -> bytes:
        """The request's body."""
        if mode is Mode.PLAIN:
            return self.plain
        if not self.enveloped:
            self.enveloped = _encode(_envelope(self))
        return self.enveloped


def pack(document: EventDocument, machine: str) -> Parcel:
    """Encode an event."""
    event = document.event
    return Parcel(
        sequence=document.sequence,
        id=document.id,
        subject=event.subject,
        kind=event.kind,
        at=event.at,
        machine=event.machine or machine,
        plain=_sorted(public_event(document, machine)),
    )


def _envelope(parcel: Parcel) -> CloudEvent[msgspec.Raw]:
    return CloudEvent(
        id=parcel.id,
        source=f"/corral/{parcel.machine}",
        type=f"corral.{parcel.kind}",
        subject=parcel.subject,
        time=parcel.at,
        sequence=f"{parcel.sequence:016d}",
        data=msgspec.Raw(parcel.plain),
    )
