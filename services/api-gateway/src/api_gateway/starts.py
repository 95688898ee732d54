"""From a start request to durable instances, once per idempotency key."""

import uuid
from collections.abc import Sequence

from api_gateway.admission import Admission
from api_gateway.catalogue import Catalogue
from api_gateway.configuration import Configuration
from api_gateway.documents import Remembered
from api_gateway.domain.start_request import StartRequest
from api_gateway.feasibility import Feasibility
from api_gateway.store import GatewayStore
from chassis import tracing
from chassis.clock import Clock
from chassis.errors import Conflict, Refused
from contracts.instances import InstanceDocument, InstanceSpec, InstanceStatus

_OTHER_BODY = "Idempotency-Key was used with another request"


class Starts:
    """Accepts what may ever run."""

    def __init__(
        self,
        store: GatewayStore,
        catalogue: Catalogue,
        admission: Admission,
        feasibility: Feasibility,
        clock: Clock,
        configuration: Configuration,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._feasibility = feasibility
        self._admission = admission
        self._clock = clock
        self._configuration = configuration

    async def accept(self, request: StartRequest, actor: str, request_id: str) -> Sequence[str]:
        """Ids of new instances, all durable; Refused when they could never run."""
        return await self._admission.admit(await self._documents(request, actor, request_id))

    async def accept_once(
        self, request: StartRequest, actor: str, request_id: str, key: str, sha256: str
    ) -> Sequence[str]:
        """The same, but a repeat of the key with the same body gets the same ids."""
        known = await self._store.remembered(key)
        if known is None:
            documents = await self._documents(request, actor, request_id)
            fresh = Remembered(id=key, sha256=sha256, instance_ids=(), at=self._clock.now())
            try:
                return await self._admission.admit(documents, fresh)
            except Conflict:
                known = await self._store.remembered(key)
        if known is None or known.sha256 != sha256:
            raise Refused(_OTHER_BODY)
        return known.instance_ids

    async def _documents(
        self, request: StartRequest, actor: str, request_id: str
    ) -> list[InstanceDocument]:
        spec = await self._spec(request, actor, request_id)
        await self._feasibility.check(spec, request.count)
        now = self._clock.now()
        status = InstanceStatus(changed=now)
        return [
            InstanceDocument(
                id=str(uuid.uuid4()), pending=True, created=now, spec=spec, status=status
            )
            for _ in range(request.count)
        ]

    async def _spec(self, request: StartRequest, actor: str, request_id: str) -> InstanceSpec:
        return InstanceSpec(
            template=await self._catalogue.resolve(request.vmid, request.tag, request.version),
            registry=await self._configuration.registry(),
            wanted_version=request.version,
            name=request.name,
            external_id=request.external_id,
            metadata=request.metadata,
            node_id=request.node_id,
            group_id=request.group_id,
            permission_group=request.group,
            priority=request.priority,
            name_template=request.name_template,
            ttl=self._configuration.default_ttl if request.ttl is None else request.ttl,
            script=request.script,
            overrides=request.overrides,
            actor=actor,
            request_id=request_id,
            start_request_id=request_id,
            trace=tracing.inject(),
        )
