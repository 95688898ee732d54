"""Whether an instance can be saved now, and what becomes of it in the registry."""

from http import HTTPStatus

from contracts.images import ImageFailure, ImageSpec
from contracts.instances import InstanceState
from contracts.templates import TemplateDocument
from scheduler.domain.image_request import ImagePlan, failure
from scheduler.domain.instance import Instance
from scheduler.domain.node import Node

COMMIT = "commit"
"""The capability of a driver that can make an image of a VM."""

SUSPEND = "suspend"
"""The capability of a driver that can save a VM's memory with its disk."""


def refusal(spec: ImageSpec, instance: Instance | None, node: Node | None) -> ImageFailure | None:
    """Why this instance cannot be saved as asked, if so."""
    if instance is None:
        return failure("instance not found", HTTPStatus.NOT_FOUND)
    if instance.ending:
        return failure("instance was terminated", HTTPStatus.CONFLICT)
    if instance.status.state is not InstanceState.STARTED:
        message = f"instance is not Started but {instance.status.state}"
        return failure(message, HTTPStatus.CONFLICT)
    if node is None:
        return failure("the node of the instance is not known", HTTPStatus.CONFLICT)
    return _unable(spec, node)


def interruption(
    request_id: str, instance: Instance | None, *, waiting: bool
) -> ImageFailure | None:
    """What ended a save that was accepted, other than its own outcome; None while it may go on.

    One that is lost may return and go on.
    """
    if instance is None:
        return failure("instance not found", HTTPStatus.NOT_FOUND)
    if instance.ending:
        return failure("instance was terminated", HTTPStatus.CONFLICT)
    status = instance.status
    holds = status.state is InstanceState.STARTED if waiting else status.saving == request_id
    if holds or status.lost:
        return None
    return failure(status.message or f"instance is {status.state}", HTTPStatus.CONFLICT)


def plan(spec: ImageSpec, template: TemplateDocument | None) -> ImagePlan | ImageFailure:
    """Where the image goes. ``template`` is the one it shall be the next version of, as it is now.

    A new template's repository is called as its id.
    """
    if spec.new_template_name:
        return ImagePlan(repository=spec.target_template_id, template_name=spec.new_template_name)
    if template is None:
        return failure(f"template {spec.target_template_id} not found", HTTPStatus.NOT_FOUND)
    return ImagePlan(
        repository=template.repository,
        template_name=template.name,
        revert_number=_reverted(spec, template) if spec.revert_before_push else None,
    )


def _unable(spec: ImageSpec, node: Node) -> ImageFailure | None:
    driver = node.status.facts.driver
    if COMMIT not in node.capabilities:
        message = f"saving images is not supported by the {driver} driver"
        return failure(message, HTTPStatus.NOT_IMPLEMENTED)
    if spec.suspend and SUSPEND not in node.capabilities:
        message = f"suspending is not supported by the {driver} driver"
        return failure(message, HTTPStatus.NOT_IMPLEMENTED)
    return None


def _reverted(spec: ImageSpec, template: TemplateDocument) -> int | None:
    """The version to revert: the latest, or that of a tag; a tag that is not there reverts none."""
    numbers = [
        version.number
        for version in template.versions
        if not spec.revert_tag or version.tag == spec.revert_tag
    ]
    return max(numbers, default=None)
