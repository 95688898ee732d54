"""``/api/v1/image``: saving a running instance as a tag or template."""

import uuid

import msgspec

from api_gateway.catalogue import Catalogue
from api_gateway.configuration import Configuration
from api_gateway.domain import go_base64
from api_gateway.domain.image_request import ImageRequest, read_image_request
from api_gateway.entries import InstanceEntry
from api_gateway.operation import operation
from api_gateway.outgoing import Outgoing
from api_gateway.public import envelope
from api_gateway.public.cloud import Requested
from api_gateway.public.images import PublicImage
from api_gateway.public.images import image as encode
from api_gateway.public.instances import state_of
from api_gateway.reader import Reader
from api_gateway.request_store import RequestStore
from api_gateway.requests.templates import NewImage
from api_gateway.requests.values import PerhapsById
from api_gateway.web import Call, Routes
from chassis.clock import Clock
from chassis.errors import Refused
from contracts.images import (
    ImageFailure,
    ImageRequestDocument,
    ImageSpec,
    ImageState,
    ImageStatus,
    SaveImage,
)
from contracts.instances import InstanceState
from contracts.vms import Script

_GO_ERROR = "base64.CorruptInputError"
_SCRIPT_SECONDS = 3600
"""How long the script of a save may take: nothing documented says so, and clean-ups take long."""


class ImageRoutes:
    """Requests to save an image."""

    def __init__(
        self,
        requests: RequestStore,
        reader: Reader,
        catalogue: Catalogue,
        outgoing: Outgoing,
        clock: Clock,
        configuration: Configuration,
    ) -> None:
        self._requests = requests
        self._reader = reader
        self._catalogue = catalogue
        self._outgoing = outgoing
        self._clock = clock
        self._configuration = configuration

    def table(self) -> Routes:
        """Path to verb to function."""
        return {"/api/v1/image": {"GET": self.get, "POST": self.create}}

    @operation((PublicImage, list[PublicImage]), query=PerhapsById)
    async def get(self, call: Call) -> bytes:
        """All requests, oldest first, or one."""
        identity = call.query("id")
        if identity is None:
            return envelope.ok_list([encode(known) for known in await self._requests.images()])
        return envelope.ok(encode(await self._requests.image(identity)))

    @operation(Requested, body=NewImage)
    async def create(self, call: Call) -> bytes:
        """Save an instance that is Started; the answer is the request's id, once it is durable.

        A script that is no base64 makes a request that has failed already, as documented.
        """
        request = read_image_request(await call.fields())
        entry = await self._reader.stored_instance(request.instance_id)
        state = state_of(entry.spec, entry.status)
        if state is not InstanceState.STARTED:
            raise Refused(f"instance is {state}: only one that is Started can be saved")
        if request.target_id is not None:
            await self._catalogue.resolve(request.target_id, None, None)
        document = await self._document(request, entry, call)
        await self._requests.add_image(document)
        if document.pending:
            self._outgoing.send([_command(document)])
        return envelope.ok(msgspec.json.encode(Requested(request_id=document.id)))

    async def _document(
        self, request: ImageRequest, entry: InstanceEntry, call: Call
    ) -> ImageRequestDocument:
        now = self._clock.now()
        script, failure = _read_script(request.script)
        info = entry.status.vminfo
        return ImageRequestDocument(
            id=str(uuid.uuid4()),
            pending=failure is None,
            created=now,
            spec=ImageSpec(
                instance_id=request.instance_id,
                tag=request.tag,
                target_template_id=request.target_id or str(uuid.uuid4()),
                new_template_name=request.new_template_name,
                description=request.description,
                suspend=request.suspend,
                script=script,
                script_text=request.script,
                revert_before_push=request.revert_before_push,
                revert_tag=request.revert_tag,
                suspend_sanity_test=request.suspend_sanity_test,
                cancel_on_script_failure=request.cancel_on_script_failure,
                registry=await self._configuration.registry(),
                actor=call.actor,
                request_id=call.request_id,
            ),
            status=ImageStatus(
                state=ImageState.PENDING if failure is None else ImageState.ERROR,
                observed_generation=0 if failure is None else 1,
                node_id=entry.status.node_id,
                vm_uuid=info.uuid if info else "",
                failure=failure,
                changed=now,
                finished=None if failure is None else now,
            ),
        )


def _read_script(text: str) -> tuple[Script | None, ImageFailure | None]:
    try:
        body = go_base64.decode(text)
    except go_base64.CorruptInput as error:
        return None, ImageFailure(message=str(error), kind=_GO_ERROR)
    script = Script(body=body, monitored=True, timeout=_SCRIPT_SECONDS)
    return (script if body else None), None


def _command(document: ImageRequestDocument) -> SaveImage:
    spec = document.spec
    return SaveImage(
        request_id=document.id,
        instance_id=spec.instance_id,
        tag=spec.tag,
        target_template_id=spec.target_template_id,
        new_template_name=spec.new_template_name,
        description=spec.description,
        suspend=spec.suspend,
        script=spec.script,
        revert_before_push=spec.revert_before_push,
        revert_tag=spec.revert_tag,
        suspend_sanity_test=spec.suspend_sanity_test,
        cancel_on_script_failure=spec.cancel_on_script_failure,
        actor=spec.actor,
    )
