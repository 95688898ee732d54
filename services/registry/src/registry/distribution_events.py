"""What a step of a distribution puts into the event log, once."""

import socket
from collections.abc import Iterator
from datetime import datetime

import msgspec

from contracts.distributions import DistributionDocument, DistributionStatus, NodePull
from contracts.documents import Said
from contracts.events import EventHappened, EventKind, EventType, Scalar
from registry.domain.distribution import CANCELED
from registry.outbox import said

_MACHINE = socket.gethostname()


def events(old: DistributionDocument, new: DistributionStatus, at: datetime) -> list[Said]:
    """The events of a step from ``old`` to ``new``; a repeat of the step has the same ids."""
    revision = old.status_revision + 1
    return [
        said(event, f"{old.id} {event.fields.get('node_id', '')}", revision, str(event.kind))
        for event in _happened(old, new, at)
    ]


def _happened(
    old: DistributionDocument, new: DistributionStatus, at: datetime
) -> Iterator[EventHappened]:
    spec, before = old.spec, old.status
    if not before.observed_generation and new.observed_generation:
        asked = _event(old, EventKind.DISTRIBUTE_TEMPLATE_TO_NODES, at, {"nodes": len(new.nodes)})
        yield msgspec.structs.replace(asked, actor=spec.actor, request_id=spec.request_id)
    for id_, pull in new.nodes.items():
        if not pull.over or before.nodes.get(id_, NodePull()).over or pull.error == CANCELED:
            continue
        if pull.done:
            yield _event(old, EventKind.TEMPLATE_PULLED, at, {"node_id": id_})
        else:
            failure: dict[str, Scalar] = {"node_id": id_, "message": pull.error}
            yield _event(old, EventKind.TEMPLATE_PULL_FAILED, at, failure)
    if new.finished is None or before.finished is not None:
        return
    done = sum(pull.done for pull in new.nodes.values())
    counts: dict[str, Scalar] = {"done": done, "failed": len(new.nodes) - done}
    if spec.cancel:
        canceled = _event(old, EventKind.DISTRIBUTION_CANCELED, at, counts)
        yield msgspec.structs.replace(canceled, actor=spec.canceled_by)
    else:
        yield _event(old, EventKind.DISTRIBUTION_FINISHED, at, counts)


_ASKED = (EventKind.DISTRIBUTE_TEMPLATE_TO_NODES, EventKind.DISTRIBUTION_CANCELED)


def _event(
    document: DistributionDocument, kind: EventKind, at: datetime, fields: dict[str, Scalar]
) -> EventHappened:
    template = document.spec.template
    return EventHappened(
        kind=kind,
        event_type=EventType.API if kind in _ASKED else EventType.SYSTEM,
        sub_type="templateAction",
        subject=template.id,
        at=at,
        machine=_MACHINE,
        fields=fields
        | {
            "template_id": template.id,
            "tag": template.tag,
            "version": template.version,
            "distribution_id": document.id,
        },
    )
