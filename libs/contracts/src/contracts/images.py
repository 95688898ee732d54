"""Saving a running instance as a new tag or template."""

from contracts.messages import Command, Order, Report
from contracts.vms import Script, ScriptResult


class SaveImage(Command, frozen=True, kw_only=True, tag="image.save.v1"):
    """Save an instance: as the next tag of a template, or as a new template."""

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
    """Suspend or stop the VM, commit its disk and push what is new."""

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


class ImagePushed(Report, frozen=True, kw_only=True, tag="image.pushed.v1"):
    """How a PushImage ended; ``digest`` of the new manifest, or ``error``."""

    request_id: str
    instance_id: str
    digest: str = ""
    error: str = ""
    script_result: ScriptResult | None = None
