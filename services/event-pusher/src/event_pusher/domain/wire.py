"""An event as receivers and ``event.log`` see it: one JSON object, keys in alphabetical order.

The documented keys keep their documented meaning; ``actor``, ``id``, ``request_id`` and
``sequence`` are ours and additive.
"""

import msgspec

from contracts.events import EventDocument

_encode = msgspec.json.Encoder(order="sorted").encode


def wire_of(document: EventDocument, machine: str) -> bytes:
    """The event's JSON; ``machine`` names the controller's host unless the event says its own.

    ``time`` is in whole epoch seconds. A kind's own field never replaces a common key.
    """
    event = document.event
    common = {
        "name": event.kind,
        "type": event.event_type,
        "sub_type": event.sub_type,
        "time": int(event.at.timestamp()),
        "machineName": event.machine or machine,
        "id": document.id,
        "sequence": document.sequence,
        "actor": event.actor,
        "request_id": event.request_id,
    }
    return _encode(event.fields | common)
