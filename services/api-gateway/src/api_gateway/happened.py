"""Events that a call to the API causes."""

import platform
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api_gateway.web import Call
from contracts.events import EventHappened, EventKind, EventType


def happened(
    call: Call,
    kind: EventKind,
    subject: tuple[str, str],
    fields: Mapping[str, Any],
    *,
    identity: str,
    at: datetime,
) -> EventHappened:
    """The event of a call on ``subject``: the documented sub-type and the id of what changed."""
    sub_type, subject_id = subject
    return EventHappened(
        id=identity,
        kind=kind,
        event_type=EventType.API,
        sub_type=sub_type,
        subject=subject_id,
        at=at,
        machine=platform.node(),
        actor=call.actor,
        request_id=call.request_id,
        fields=dict(fields),
    )
