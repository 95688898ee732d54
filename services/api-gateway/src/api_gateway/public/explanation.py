"""Why an instance waits, and what would change it."""

from collections.abc import Mapping

import msgspec

from api_gateway.domain.remedies import OTHER, REMEDIES
from api_gateway.public.instances import state_of
from api_gateway.public.scalars import Moment
from contracts.groups import GroupDocument
from contracts.instances import InstanceSpec, InstanceState, InstanceStatus, Reason

_STARTING = (InstanceState.SCHEDULING, InstanceState.PULLING)


class ConcernedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A node group that was tried; ``name`` is empty when it is gone."""

    id: str
    name: str


class ExplainedReason(msgspec.Struct, frozen=True, kw_only=True):
    """``nodes`` were refused by ``filter``, in these ``groups`` when one was asked for."""

    filter: str
    message: str
    nodes: int
    groups: tuple[ConcernedGroup, ...]
    remedy: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """``since``: when the instance came into this state, or the reasons became these."""

    instance_id: str
    instance_state: InstanceState
    waits: bool
    message: str
    since: Moment
    node_id: str
    attempt: int
    reasons: tuple[ExplainedReason, ...]


_encode = msgspec.json.Encoder().encode


def explanation(
    identity: str,
    spec: InstanceSpec,
    status: InstanceStatus,
    groups: Mapping[str, GroupDocument],
) -> bytes:
    """The encoded Explanation. Counts are of when the reasons last became others."""
    state = state_of(spec, status)
    waits = state is InstanceState.SCHEDULING and not status.live
    return _encode(
        Explanation(
            instance_id=identity,
            instance_state=state,
            waits=waits,
            message=_message(state, status, waits=waits),
            since=status.changed,
            node_id=status.node_id,
            attempt=status.attempt,
            reasons=tuple(_reason(reason, groups) for reason in status.reasons) if waits else (),
        )
    )


def _message(state: InstanceState, status: InstanceStatus, *, waits: bool) -> str:
    if waits:
        return "no node takes it now" if status.reasons else "the scheduler has not seen it yet"
    if state is InstanceState.PULLING:
        return "its node downloads the template"
    if state in _STARTING:
        return "its node starts it"
    return status.message or f"it is {state}"


def _reason(reason: Reason, groups: Mapping[str, GroupDocument]) -> ExplainedReason:
    return ExplainedReason(
        filter=reason.filter,
        message=reason.message,
        nodes=reason.nodes,
        groups=tuple(
            ConcernedGroup(id=group_id, name=groups[group_id].name if group_id in groups else "")
            for group_id in reason.groups
        ),
        remedy=REMEDIES.get(reason.filter, OTHER),
    )
