"""Sending a template to nodes ahead of time."""

from datetime import datetime

import msgspec

from contracts.documents import Pending
from contracts.messages import Command, Order, Report
from contracts.templates import TemplateRef


class DistributionSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked. Written by the gateway alone; nothing but ``cancel`` ever changes.

    The tag goes to ``node_ids``, else to the nodes of ``group_id``, else to all nodes.
    ``registry`` is the address that agents pull from. ``canceled_by``: who set ``cancel``.
    """

    template: TemplateRef
    registry: str = ""
    node_ids: tuple[str, ...] = ()
    group_id: str | None = None
    cancel: bool = False
    canceled_by: str = ""
    actor: str = ""
    request_id: str = ""


class NodePull(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far one node is: ``progress`` 0..1; ``done`` or ``error`` end it.

    ``begun`` is when the order first went out (None: not yet), ``ordered`` when it last did,
    ``orders`` how often; ``heard`` is when the node last reported.
    """

    progress: float = 0.0
    done: bool = False
    error: str = ""
    begun: datetime | None = None
    ordered: datetime | None = None
    heard: datetime | None = None
    orders: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing more is expected of the node."""
        return self.done or bool(self.error)


class DistributionStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is. Written by the registry alone (the gateway writes the first one).

    ``nodes`` by id; empty until the registry has chosen them. ``finished``: all are over.
    """

    observed_generation: int = 0
    nodes: dict[str, NodePull] = {}
    changed: datetime
    finished: datetime | None = None


class DistributionDocument(Pending, frozen=True, kw_only=True, omit_defaults=True):
    """A distribution as stored in ``distributions``; its id is the public ``request_id``."""

    spec: DistributionSpec
    status: DistributionStatus


class Distribute(Command, frozen=True, kw_only=True, tag="distribution.start.v1"):
    """Have a tag on nodes: these, those of a group, or all. Its document is durable already."""

    request_id: str
    template: TemplateRef
    node_ids: tuple[str, ...] = ()
    group_id: str | None = None
    actor: str = ""


class CancelDistribution(Command, frozen=True, kw_only=True, tag="distribution.cancel.v1"):
    """``spec.cancel`` was set: stop what is still being pulled for a distribution."""

    request_id: str
    actor: str = ""


class PullTemplate(Order, frozen=True, kw_only=True, tag="template.pull.v1"):
    """Have this tag in the node's cache."""

    request_id: str
    registry: str
    template: TemplateRef


class CancelPull(Order, frozen=True, kw_only=True, tag="template.pull-cancel.v1"):
    """Stop the pull of this request, unless a start needs it as well; nothing is reported."""

    request_id: str


class DeleteTemplate(Order, frozen=True, kw_only=True, tag="template.delete.v1"):
    """Have no tag of this template in the node's cache, but for those in use."""

    template_id: str


class TemplatePullReported(Report, frozen=True, kw_only=True, tag="template.pull-reported.v1"):
    """How far a PullTemplate is; ``done`` or ``error`` end it."""

    request_id: str
    progress: float
    done: bool = False
    error: str = ""
