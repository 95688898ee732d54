"""The body of ``POST /api/v1/image``, read field by field."""

import msgspec

from api_gateway.domain.fields import Fields, MissingField


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants saved: as a tag of ``target_id``, else of a new template.

    ``script`` is base64 as it came; it may be none at all, which the request itself then shows.
    """

    instance_id: str
    tag: str
    target_id: str | None
    new_template_name: str
    description: str
    suspend: bool
    script: str
    revert_before_push: bool
    revert_tag: str
    suspend_sanity_test: bool
    cancel_on_script_failure: bool


def read_image_request(fields: Fields) -> ImageRequest:
    """The request, or BadField naming what is wrong. A target wins over a new name."""
    target, name = fields.text("target_vm_id"), fields.text("new_template_name")
    suspend = fields.flag("suspend")
    request = ImageRequest(
        instance_id=fields.required_text("id"),
        tag=fields.required_text("tag"),
        target_id=target,
        new_template_name="" if target else name or "",
        description=fields.text("description") or "",
        suspend=True if suspend is None else suspend,
        script=fields.text("script") or "",
        revert_before_push=fields.flag("revert_before_push") or False,
        revert_tag=fields.text("revert_tag") or "",
        suspend_sanity_test=fields.flag("do_suspend_sanity_test") or False,
        cancel_on_script_failure=fields.flag("cancel_on_script_failure") or False,
    )
    if target is None and name is None:
        raise MissingField("target_vm_id or new_template_name")
    return request
