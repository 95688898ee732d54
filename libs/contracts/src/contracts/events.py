"""The event log: what happened, for operators and webhooks."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec

from contracts.messages import Fact

Scalar: TypeAlias = str | int | float | bool | None


class EventKind(StrEnum):
    """The eleven documented kinds, then ours (additive).

    ``WebhookTest`` is sent to the endpoint that is tested and never logged.
    """

    START_VM = "StartVM"
    VM_STARTED = "VMStarted"
    VM_FAILED_TO_START = "VMFailedToStart"
    TERMINATE_VM = "TerminateVM"
    VM_TERMINATED = "VMTerminated"
    DISTRIBUTE_TEMPLATE_TO_NODES = "DistributeTemplateToNodes"
    TEMPLATE_PULLED = "TemplatePulled"
    DELETE_REGISTRY_VM = "DeleteRegistryVm"
    CONFIG_NODE = "ConfigNode"
    DELETE_NODE = "DeleteNode"
    NODE_UNREGISTERED = "NodeUnregistered"
    VM_RESTARTED = "VMRestarted"
    VM_LOST = "VMLost"
    VM_RECOVERED = "VMRecovered"
    VM_EXPIRED = "VMExpired"
    START_RETRIED = "StartRetried"
    UNKNOWN_VM_PERSISTS = "UnknownVmPersists"
    NODE_JOINED = "NodeJoined"
    NODE_OFFLINE = "NodeOffline"
    NODE_ONLINE = "NodeOnline"
    GROUP_CREATED = "GroupCreated"
    GROUP_UPDATED = "GroupUpdated"
    GROUP_DELETED = "GroupDeleted"
    TEMPLATE_PUSHED = "TemplatePushed"
    TEMPLATE_REVERTED = "TemplateReverted"
    TEMPLATE_PULL_FAILED = "TemplatePullFailed"
    TEMPLATE_REMOVED_FROM_NODES = "TemplateRemovedFromNodes"
    DISTRIBUTION_CANCELED = "DistributionCanceled"
    DISTRIBUTION_FINISHED = "DistributionFinished"
    SAVE_IMAGE = "SaveImage"
    IMAGE_SAVED = "ImageSaved"
    IMAGE_SAVE_FAILED = "ImageSaveFailed"
    CONFIG_CHANGED = "ConfigChanged"
    POOL_CREATED = "PoolCreated"
    POOL_UPDATED = "PoolUpdated"
    POOL_DELETED = "PoolDeleted"
    WEBHOOK_CREATED = "WebhookCreated"
    WEBHOOK_UPDATED = "WebhookUpdated"
    WEBHOOK_DELETED = "WebhookDeleted"
    WEBHOOK_DISABLED = "WebhookDisabled"
    WEBHOOK_TEST = "WebhookTest"


class EventType(StrEnum):
    """Who made it happen: somebody through the API, or the system."""

    API = "apiAction"
    SYSTEM = "systemAction"


class EventHappened(Fact, frozen=True, kw_only=True, tag="event.happened.v1"):
    """One line of the event log, said by the owner of its subject.

    ``id`` is set always. ``subject`` is the id of the instance, node, group or template whose
    events keep their order. ``fields`` are the kind's own documented keys, as on the wire.
    """

    kind: EventKind
    event_type: EventType
    sub_type: str
    subject: str
    at: datetime
    machine: str = ""
    actor: str = ""
    request_id: str = ""
    fields: dict[str, Scalar] = {}  # noqa: RUF012 -- msgspec copies it


class EventDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event in the log; ``sequence`` grows by one, without holes."""

    id: str = msgspec.field(name="_id")
    sequence: int
    event: EventHappened


class PublicEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that every event has; its kind has more beside them. ``time`` in epoch seconds.

    The documented keys keep their documented meaning; ``actor``, ``id``, ``request_id`` and
    ``sequence`` are ours and additive. ``machineName`` is the controller's host unless the event
    says its own.
    """

    name: EventKind
    type: EventType
    sub_type: str
    time: int
    machine_name: str = msgspec.field(name="machineName")
    id: str
    sequence: int
    actor: str
    request_id: str


AnyEvent: TypeAlias = Annotated[
    PublicEvent,
    msgspec.Meta(
        extra_json_schema={
            "additionalProperties": {"type": ["string", "integer", "number", "boolean", "null"]}
        }
    ),
]
"""An event with the keys of its kind."""


def public_event(document: EventDocument, machine: str) -> dict[str, Scalar]:
    """An event as the world sees it: receivers, ``event.log`` and the API.

    ``machine`` names the controller's host. A kind's own field never replaces a common key.
    """
    event = document.event
    known = PublicEvent(
        name=event.kind,
        type=event.event_type,
        sub_type=event.sub_type,
        time=int(event.at.timestamp()),
        machine_name=event.machine or machine,
        id=document.id,
        sequence=document.sequence,
        actor=event.actor,
        request_id=event.request_id,
    )
    common: dict[str, Scalar] = msgspec.to_builtins(known)
    return event.fields | common
