"""Requests to save images, as the tests of them look at them."""

import msgspec

from contracts.images import ImageState, PushImage
from contracts.vms import VmPhase
from tests.unit.scheduler.builders import an_image_request


def save(cloud, instance, **wish):
    """Ask for an image of this instance."""
    [request] = cloud.save(an_image_request(instance.id, **wish))
    return request


def refusal_of(request):
    """Message and code of one that was never ordered."""
    assert request.status.state is ImageState.ERROR
    assert request.status.ordered is None
    return request.status.failure.message, request.status.failure.code


def saving(cloud, instance, request, **changes):
    return cloud.line(instance, VmPhase.SAVING, saving=request.id, **changes)


def error_of(request):
    assert request.status.state is ImageState.ERROR
    return request.status.failure.message


def stored(request, revision=1):
    """As its document says."""
    document = an_image_request(request.spec.instance_id, request.id)
    return msgspec.structs.replace(
        document, status=request.status, status_revision=revision, pending=False
    )


def ordered(cloud):
    """Requests whose save was ordered, each as often as it was."""
    return [order.request_id for order in cloud.sent(PushImage)]
