"""The public distribution: what was asked, and how far each node is."""

from collections.abc import Collection

import msgspec

from api_gateway.public.scalars import Moment, number
from contracts.distributions import DistributionDocument, NodePull

CANCELED = "request canceled"


class DistributionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked."""

    request_id: str
    template_id: str
    time_requested: Moment


class NodeProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node: ``status`` is true once it has the template, ``progress`` is 0..1."""

    status: bool
    progress: int | float
    error: str = ""


class PublicDistribution(msgspec.Struct, frozen=True, kw_only=True):
    """One distribution, nodes by id."""

    request: DistributionRequest
    distribute_status: dict[str, NodeProgress]


_encode = msgspec.json.Encoder().encode


def distribution(document: DistributionDocument, only: Collection[str] | None = None) -> bytes:
    """The distribution as the wire shows it; the nodes meant, until the registry has begun.

    ``only`` these of its nodes are shown.
    """
    spec, status = document.spec, document.status
    nodes = status.nodes or dict.fromkeys(spec.node_ids, NodePull())
    return _encode(
        PublicDistribution(
            request=DistributionRequest(
                request_id=document.id,
                template_id=spec.template.id,
                time_requested=document.created,
            ),
            distribute_status={
                node_id: _progress(pull, canceled=spec.cancel)
                for node_id, pull in nodes.items()
                if only is None or node_id in only
            },
        )
    )


def _progress(pull: NodePull, *, canceled: bool) -> NodeProgress:
    """A wish to cancel shows at once, on every node that is not done."""
    return NodeProgress(
        status=pull.done,
        progress=1 if pull.done else number(pull.progress),
        error=pull.error or (CANCELED if canceled and not pull.over else ""),
    )
