"""Sending a template to nodes ahead of time."""

from contracts.messages import Command, Order, Report
from contracts.templates import TemplateRef


class Distribute(Command, frozen=True, kw_only=True, tag="distribution.start.v1"):
    """Have a tag on nodes: these, those of a group, or all."""

    request_id: str
    template: TemplateRef
    node_ids: tuple[str, ...] = ()
    group_id: str | None = None
    actor: str = ""


class CancelDistribution(Command, frozen=True, kw_only=True, tag="distribution.cancel.v1"):
    """Stop what is still being pulled for a distribution."""

    request_id: str
    actor: str = ""


class PullTemplate(Order, frozen=True, kw_only=True, tag="template.pull.v1"):
    """Have this tag in the node's cache."""

    request_id: str
    registry: str
    template: TemplateRef


class DeleteTemplate(Order, frozen=True, kw_only=True, tag="template.delete.v1"):
    """Have no tag of this template in the node's cache, but for those in use."""

    template_id: str


class TemplatePullReported(Report, frozen=True, kw_only=True, tag="template.pull-reported.v1"):
    """How far a PullTemplate is; ``done`` or ``error`` end it."""

    request_id: str
    progress: float
    done: bool = False
    error: str = ""
