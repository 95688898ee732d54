"""One request to save an image: its wish, its world, and the events its changes cause."""

from datetime import datetime
from http import HTTPStatus

import msgspec

from contracts.events import EventKind, Scalar
from contracts.images import ImageFailure, ImageRequestDocument, ImageState
from contracts.instances import InstanceStatus
from contracts.vms import ScriptResult
from scheduler.domain.subject import Subject

LONGEST_OUTPUT = 1 << 20
"""Bytes that are kept of each stream of a script: the last ones (documented as 1 MB)."""


class ImagePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a VM's image in the registry, as ImageStatus keeps it."""

    repository: str
    template_name: str
    revert_number: int | None = None


class ImageRequest(Subject):
    """An unfinished request in memory.

    ``ordered_at`` is when PushImage last went out, perhaps again.
    """

    sub_type = "imageAction"

    def __init__(self, document: ImageRequestDocument) -> None:
        super().__init__(document.id, document.status_revision, document.outbox)
        self.created = document.created
        self.generation = document.generation
        self.spec = document.spec
        self.status = document.status
        self.ordered_at = document.status.ordered

    @property
    def turn(self) -> tuple[datetime, datetime, str]:
        """Its place among those that wait for one template: when it was accepted, then age."""
        return (self.status.changed, self.created, self.id)

    @property
    def waiting(self) -> bool:
        """Whether it has not been ordered yet."""
        return self.status.ordered is None and not self.finished

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.status.state is not ImageState.PENDING

    def accepted(self, now: datetime) -> None:
        """First sight of it: the request becomes an event."""
        self._set(now, observed_generation=self.generation)
        spec = self.spec
        self._happened(
            EventKind.SAVE_IMAGE,
            now,
            actor=spec.actor or "anonymous",
            request_id=spec.request_id or self.id,
        )

    def ordered(
        self, plan: ImagePlan, instance: InstanceStatus, times: tuple[datetime, datetime]
    ) -> None:
        """Its turn has come. ``times``: now, and when it must have succeeded."""
        now, deadline = times
        self.ordered_at = now
        self._set(
            now,
            node_id=instance.node_id,
            vm_uuid=instance.vminfo.uuid if instance.vminfo else "",
            attempt=instance.attempt,
            ordered=now,
            deadline=deadline,
            repository=plan.repository,
            template_name=plan.template_name,
            revert_number=plan.revert_number,
        )

    def done(self, digest: str, script: ScriptResult | None, now: datetime) -> None:
        """The image is in the registry."""
        self._finish(ImageState.DONE, script, now, digest=digest)
        self._happened(EventKind.IMAGE_SAVED, now, digest=digest)

    def fail(
        self, failure: ImageFailure, now: datetime, script: ScriptResult | None = None
    ) -> None:
        """It will not be in the registry, as far as we know."""
        self._finish(ImageState.ERROR, script, now, failure=failure)
        self._happened(EventKind.IMAGE_SAVE_FAILED, now, message=failure.message)

    def _finish(
        self, state: ImageState, script: ScriptResult | None, now: datetime, **changes: object
    ) -> None:
        kept = trimmed(script) if script else None
        self._set(now, state=state, script_result=kept, finished=now, **changes)

    def _set(self, now: datetime, **changes: object) -> None:
        self.status = msgspec.structs.replace(self.status, changed=now, **changes)

    def _happened(
        self,
        kind: EventKind,
        now: datetime,
        *,
        actor: str = "",
        request_id: str = "",
        **fields: Scalar,
    ) -> None:
        spec = self.spec
        about: dict[str, Scalar] = {
            "image_request_id": self.id,
            "instance_id": spec.instance_id,
            "template_id": spec.target_template_id,
            "tag": spec.tag,
        }
        self.happened(kind, now, about | fields, actor=actor, request_id=request_id)


def failure(message: str, code: HTTPStatus | None = None) -> ImageFailure:
    """Why a request failed, in the documented shape; code 0 is for what its node reported."""
    return ImageFailure(message=message, code=int(code) if code else 0)


def trimmed(script: ScriptResult) -> ScriptResult:
    """The result with no more than the end of a long output."""
    return msgspec.structs.replace(
        script, stdout=_end_of(script.stdout), stderr=_end_of(script.stderr)
    )


def _end_of(text: str) -> str:
    return text.encode()[-LONGEST_OUTPUT:].decode(errors="ignore")
