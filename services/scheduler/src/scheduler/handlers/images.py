"""Saving images: requests are accepted, ordered when their turn has come, and ended."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from contracts.images import ImageFailure, ImagePushed, ImageRequestDocument, SaveImage
from contracts.templates import TemplateDocument
from contracts.vms import ScriptResult, VmState
from scheduler.domain.image_request import ImageRequest, failure
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Moment
from scheduler.domain.node import Node
from scheduler.domain.saving import interruption, plan, refusal
from scheduler.domain.transitions import Cause
from scheduler.domain.world import World


def save_image(world: World, message: SaveImage, moment: Moment) -> None:
    """Somebody wants an image of an instance; a request that was seen, or has ended, is stale."""
    document = world.found_images.get(message.request_id)
    if document is not None and document.pending and document.id not in world.images.requests:
        _accept(world, ImageRequest(document), moment)


def recall(world: World, document: ImageRequestDocument, moment: Moment) -> ImageRequest:
    """A request as it was left. An order that may not have gone out goes out again."""
    request = ImageRequest(document)
    if request.finished:
        return request
    if request.revision == 0:
        _accept(world, request, moment)
        return request
    world.images.add(request)
    _end_if_interrupted(world, request, moment)
    if not (request.waiting or request.finished):
        _order(world, request, moment)
    return request


def end_interrupted(world: World, moment: Moment) -> None:
    """End the requests whose instance has come to something else in this turn."""
    for instance_id in world.changed.keys() & world.images.of_instance.keys():
        _end_if_interrupted(world, world.images.of_instance[instance_id], moment)


def begin(
    world: World,
    due: list[ImageRequest],
    templates: Mapping[str, TemplateDocument],
    moment: Moment,
) -> None:
    """Order those whose turn has come. ``templates``: as they are now, after the save before."""
    for request in due:
        template = templates.get(request.spec.target_template_id)
        if refused := _begin(world, request, template, moment):
            _fail(world, request, refused, moment)


def repeat_push(
    world: World, instance: Instance, vm: VmState, said: datetime, moment: Moment
) -> None:
    """Its node does not save the VM: the order was lost, or the report of its end is."""
    request = world.images.requests.get(instance.status.saving)
    if request is None:
        instance.save_failed(moment.now)
        world.touch(instance)
        return
    sent = request.ordered_at
    early = sent is not None and said < sent + timedelta(seconds=world.limits.skew)
    if vm.saving != request.id and not early:
        _order(world, request, moment)


def image_pushed(world: World, report: ImagePushed, moment: Moment) -> None:
    """A save has ended on its node; of a request that has ended already nothing is heard."""
    request = world.images.requests.get(report.request_id)
    if request is None:
        return
    status = request.status
    if (status.node_id, status.attempt) != (report.node_id, report.attempt):
        return
    instance = world.instances[request.spec.instance_id]
    instance.reported = max(instance.reported or report.at, report.at)
    instance.seen(Cause.SAVING, report.info, moment.now)  # its facts, also when it was lost
    if report.error or report.script_failed:
        message = "Script execution failed" if report.script_failed else report.error
        _give_up(world, request, failure(message), moment, report.script_result)
        return
    request.done(report.digest, report.script_result, moment.now)
    world.images.touch(request)
    instance.saved(moment.now)
    world.touch(instance)
    world.order_stop(instance, moment)


def end_overdue(world: World, moment: Moment) -> None:
    """Give up what takes too long. Its node does so by itself, and is given time to say so."""
    late = moment.now - timedelta(seconds=world.limits.order)
    for request in list(world.images.requests.values()):
        deadline = request.status.deadline
        if deadline is not None and deadline < late:
            took_too_long = failure("saving the image took too long", HTTPStatus.GATEWAY_TIMEOUT)
            _give_up(world, request, took_too_long, moment)


def _begin(
    world: World, request: ImageRequest, template: TemplateDocument | None, moment: Moment
) -> ImageFailure | None:
    instance = world.instances.get(request.spec.instance_id)
    if refused := refusal(request.spec, instance, _node_of(world, instance)):
        return refused
    planned = plan(request.spec, template)
    if isinstance(planned, ImageFailure):
        return planned
    assert instance is not None
    deadline = moment.now + timedelta(seconds=world.limits.save)
    request.ordered(planned, instance.status, (moment.now, deadline))
    instance.save(request.id, moment.now)
    world.images.touch(request)
    world.touch(instance)
    _order(world, request, moment)
    return None


def _accept(world: World, request: ImageRequest, moment: Moment) -> None:
    request.accepted(moment.now)
    spec = request.spec
    instance = world.instances.get(spec.instance_id)
    refused = refusal(spec, instance, _node_of(world, instance))
    if spec.instance_id in world.images.of_instance:
        refused = failure("instance is being saved already", HTTPStatus.CONFLICT)
    if refused is not None:
        _fail(world, request, refused, moment)
        return
    world.images.add(request)
    world.images.touch(request)


def _end_if_interrupted(world: World, request: ImageRequest, moment: Moment) -> None:
    instance = world.instances.get(request.spec.instance_id)
    reason = interruption(request.id, instance, waiting=request.waiting)
    if reason is not None:
        _fail(world, request, reason, moment)


def _give_up(
    world: World,
    request: ImageRequest,
    reason: ImageFailure,
    moment: Moment,
    script: ScriptResult | None = None,
) -> None:
    """The save has failed, its VM goes on."""
    _fail(world, request, reason, moment, script)
    instance = world.instances[request.spec.instance_id]
    instance.save_failed(moment.now)
    world.touch(instance)


def _fail(
    world: World,
    request: ImageRequest,
    reason: ImageFailure,
    moment: Moment,
    script: ScriptResult | None = None,
) -> None:
    request.fail(reason, moment.now, script)
    world.images.touch(request)


def _order(world: World, request: ImageRequest, moment: Moment) -> None:
    instance = world.instances[request.spec.instance_id]
    request.ordered_at = moment.now
    world.orders.append(world.order.push(request, instance.status.queue, moment.now))


def _node_of(world: World, instance: Instance | None) -> Node | None:
    return world.cluster.nodes.get(instance.status.node_id) if instance else None
