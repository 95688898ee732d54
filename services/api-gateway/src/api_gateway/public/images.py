"""The public request to save an image: our fields in snake case, the request and its error not."""

import msgspec

from api_gateway.public.scalars import epoch
from contracts.images import ImageFailure, ImageRequestDocument, ImageState
from contracts.vms import ScriptResult


class SaveRequest(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What was asked, and of which VM; ``timestamp`` in seconds since 1970."""

    request_id: str
    priority: int = 0
    timestamp: int
    reserve_expiry_timestamp: int = 0
    registry_addr: str
    vm_uuid: str = msgspec.field(name="VMID")
    instance_id: str = msgspec.field(name="InstanceID")
    node_id: str = msgspec.field(name="NodeID")
    template_id: str = msgspec.field(name="TemplateID")
    new_template_name: str
    tag: str
    description: str
    suspend: bool
    script: str
    do_suspend_test: bool
    revert_before_push: bool
    revert_tag: str
    cancel_on_script_failure: bool


class SaveError(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Why it failed; ``type`` and ``code`` only where the failure has one."""

    message: str
    type: str = ""
    code: int | None = None


class SaveScript(msgspec.Struct, frozen=True, kw_only=True):
    """What the script did; ``errors`` null when there were none."""

    return_code: int
    errors: tuple[str, ...] | None
    did_timeout: bool
    stdout: str
    stderr: str


class PublicImage(msgspec.Struct, frozen=True, kw_only=True):
    """One request; ``error`` and ``script_result`` are null when unset."""

    id: str
    request: SaveRequest
    status: ImageState
    error: SaveError | None
    script_result: SaveScript | None


_encode = msgspec.json.Encoder().encode


def image(document: ImageRequestDocument) -> bytes:
    """The request as the wire shows it."""
    status = document.status
    return _encode(
        PublicImage(
            id=document.id,
            request=_request(document),
            status=status.state,
            error=_error(status.failure) if status.failure else None,
            script_result=_script(status.script_result) if status.script_result else None,
        )
    )


def _request(document: ImageRequestDocument) -> SaveRequest:
    spec, status = document.spec, document.status
    return SaveRequest(
        request_id=document.id,
        timestamp=epoch(document.created),
        registry_addr=spec.registry,
        vm_uuid=status.vm_uuid,
        instance_id=spec.instance_id,
        node_id=status.node_id,
        template_id=spec.target_template_id,
        new_template_name=spec.new_template_name,
        tag=spec.tag,
        description=spec.description,
        suspend=spec.suspend,
        script=spec.script_text,
        do_suspend_test=spec.suspend_sanity_test,
        revert_before_push=spec.revert_before_push,
        revert_tag=spec.revert_tag,
        cancel_on_script_failure=spec.cancel_on_script_failure,
    )


def _error(failure: ImageFailure) -> SaveError:
    return SaveError(message=failure.message, type=failure.kind, code=failure.code)


def _script(result: ScriptResult) -> SaveScript:
    return SaveScript(
        return_code=result.return_code,
        errors=result.errors or None,
        did_timeout=result.did_timeout,
        stdout=result.stdout,
        stderr=result.stderr,
    )
