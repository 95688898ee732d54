"""Saving a running instance as a new tag or template."""

from datetime import datetime
from enum import StrEnum

import msgspec

from contracts.documents import Pending
from contracts.messages import Command, Order, Report
from contracts.vms import Script, ScriptResult, VmInfo


class ImageState(StrEnum):
    """The documented states of a request."""

    PENDING = "pending"
    DONE = "done"
    ERROR = "error"


class ImageSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked. Written by the gateway alone, once.

    The VM becomes the next tag of ``target_template_id``, else the first of a new template called
    ``new_template_name``, whose id is ``target_template_id`` then: the gateway made it.
    ``script_text`` is the script as it came (base64), ``script`` what it means.
    ``registry`` is the address that the node pushes to.
    """

    instance_id: str
    tag: str
    target_template_id: str
    new_template_name: str = ""
    description: str = ""
    suspend: bool = True
    script: Script | None = None
    script_text: str = ""
    revert_before_push: bool = False
    revert_tag: str = ""
    suspend_sanity_test: bool = False
    cancel_on_script_failure: bool = False
    registry: str = ""
    actor: str = ""
    request_id: str = ""


class ImageFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request failed. ``kind`` is the public ``Type``, ``code`` the public ``Code``."""

    message: str
    kind: str = ""
    code: int | None = None


class ImageStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is. Written by the scheduler alone (the gateway writes the first one).

    ``node_id`` and ``vm_uuid`` are the VM's, as of the order. ``attempt`` is the instance's.
    ``ordered``: when PushImage was decided (None: it waits for another save of the same
    template, or has ended before), with ``repository``, ``template_name`` and ``revert_number``:
    a repeated order never names another version. ``digest`` names the new manifest.
    """

    state: ImageState = ImageState.PENDING
    observed_generation: int = 0
    node_id: str = ""
    vm_uuid: str = ""
    attempt: int = 0
    ordered: datetime | None = None
    deadline: datetime | None = None
    repository: str = ""
    template_name: str = ""
    revert_number: int | None = None
    digest: str = ""
    failure: ImageFailure | None = None
    script_result: ScriptResult | None = None
    changed: datetime
    finished: datetime | None = None


class ImageRequestDocument(Pending, frozen=True, kw_only=True, omit_defaults=True):
    """A request to save an image as stored in ``image_requests``; its id is public."""

    spec: ImageSpec
    status: ImageStatus


class SaveImage(Command, frozen=True, kw_only=True, tag="image.save.v1"):
    """Save an instance: as the next tag of a template, or as a new template.

    Its ImageRequestDocument is durable already.
    """

    request_id: str
    instance_id: str
    tag: str
    target_template_id: str = ""
    new_template_name: str = ""
    description: str = ""
    suspend: bool = True
    script: Script | None = None
    revert_before_push: bool = False
    revert_tag: str = ""
    suspend_sanity_test: bool = False
    cancel_on_script_failure: bool = False
    actor: str = ""


class PushImage(Order, frozen=True, kw_only=True, tag="image.push.v1"):
    """Suspend or stop the VM, commit its disk and push what is new.

    Known requests are not begun again: a repeat is answered with how far it is, or how it ended.
    ``template_name`` is what the new manifest's config is called. ``revert_number``: have the
    registry remove this version of the template and every newer one just before the push.
    ``valid_until``: what has not succeeded by then is given up by the agent, and reported.
    On success the VM is stopped and stays until StopVm; after a failure it runs on.
    """

    request_id: str
    instance_id: str
    registry: str
    repository: str
    tag: str
    template_name: str
    description: str = ""
    suspend: bool = True
    script: Script | None = None
    suspend_sanity_test: bool = False
    cancel_on_script_failure: bool = False
    template_id: str = ""
    revert_number: int | None = None
    valid_until: datetime | None = None


class ImagePushed(Report, frozen=True, kw_only=True, tag="image.pushed.v1"):
    """How a PushImage ended; ``digest`` of the new manifest, or ``error``.

    ``script_failed``: it was cancelled because its script failed. ``info`` is the VM after a
    failure, when it is there.
    """

    request_id: str
    instance_id: str
    digest: str = ""
    error: str = ""
    script_result: ScriptResult | None = None
    attempt: int = 0
    script_failed: bool = False
    info: VmInfo | None = None
