"""``/api/v1/vm`` and ``/api/v1/rpc/vm/restart``."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from api_gateway.auth import nodes
from api_gateway.domain.access import Access
from api_gateway.domain.bulk import read_bulk
from api_gateway.domain.fields import Fields, MissingField
from api_gateway.domain.idempotency import KEY_HEADER, check_key
from api_gateway.domain.metadata import read_metadata
from api_gateway.domain.start_request import StartRequest, read_start_request, read_ttl
from api_gateway.operation import operation
from api_gateway.outgoing import Outgoing
from api_gateway.public import envelope
from api_gateway.public.instances import state_of
from api_gateway.reader import Reader
from api_gateway.requests.instances import (
    InstanceChanges,
    Restart,
    StartBody,
    StartHeaders,
    Termination,
    TerminationQuery,
)
from api_gateway.requests.values import ById
from api_gateway.resources import Resources
from api_gateway.routes.bulk import BulkTermination, Ended
from api_gateway.routes.instance_reads import InstanceReads
from api_gateway.starts import Starts
from api_gateway.store import GatewayStore
from api_gateway.sync import Sync
from api_gateway.web import Call, Routes
from chassis import tracing
from chassis.errors import NotFound, Refused
from contracts.instances import InstanceDocument, RestartVM, TerminateVM, UpdateVM

_TRACE_HEADER = "traceparent"
_NO_PERMISSION_GROUPS = "group: works only with resource permissions, which are off"
_LABELS = ("name", "external_id")
_log = structlog.get_logger()


class InstanceRoutes:
    """Everything that can be asked of instances."""

    def __init__(
        self,
        store: GatewayStore,
        sync: Sync,
        reader: Reader,
        resources: Resources,
        starts: Starts,
        outgoing: Outgoing,
        bulk: BulkTermination,
    ) -> None:
        self._store = store
        self._resources = resources
        self._sync = sync
        self._reader = reader
        self._starts = starts
        self._outgoing = outgoing
        self._bulk = bulk
        self._reads = InstanceReads(reader)

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/vm": {
                "GET": self._reads.get,
                "POST": self.start,
                "PUT": self.update,
                "DELETE": self.terminate,
            },
            "/api/v1/vm/explain": {"GET": self._reads.explain},
            "/api/v1/rpc/vm/restart": {"POST": self.restart},
        }

    @operation(list[str], body=StartBody, headers=StartHeaders)
    async def start(self, call: Call) -> bytes:
        """Make instances; the answer is their ids, once they are durable."""
        fields, size = await call.fields(), len(await call.raw())
        request = _permitted(read_start_request(fields, size), call.access)
        with tracing.span(
            "gateway.start", call.header(_TRACE_HEADER) or "", request_id=call.request_id
        ):
            ids = await self._accept(call, request)
            _log.info("instances.accepted", instances=ids, template=request.vmid)
        return envelope.ok(msgspec.json.encode(ids))

    async def _accept(self, call: Call, request: StartRequest) -> Sequence[str]:
        key = call.header(KEY_HEADER)
        if key is None:
            return await self._starts.accept(request, call.actor, call.request_id)
        check_key(key)
        if call.actor:
            key = msgspec.json.encode((call.actor, key)).decode()
        sha256 = hashlib.sha256(await call.raw()).hexdigest()
        return await self._starts.accept_once(request, call.actor, call.request_id, key, sha256)

    @operation(query=ById, body=InstanceChanges)
    async def update(self, call: Call) -> bytes:
        """Change what an instance is called and labelled with, and how long it lives."""
        identity = call.required_query("id")
        fields = await call.fields()
        given = {name: fields.text_as_given(name) for name in _LABELS} | {"ttl": read_ttl(fields)}
        sets = {name: value for name, value in given.items() if value is not None}
        metadata = read_metadata(fields)
        if not sets and metadata is None:
            await self._reader.stored_instance(identity)
            return envelope.OK
        document = await self._store.label(identity, sets, metadata)
        if document is None:
            raise NotFound
        self._moved(document, UpdateVM)
        return envelope.OK

    @operation((None, list[Ended]), query=TerminationQuery, body=Termination, optional=True)
    async def terminate(self, call: Call) -> bytes:
        """Have an instance gone: OK in every state, also when it is going already. Or many."""
        fields = await call.fields_or_none()
        identity = fields.text("id") or call.query("id")
        if identity is None:
            bulk = read_bulk(fields)
            if bulk is None:
                raise MissingField("id")
            return await self._bulk.terminate(call, bulk)
        document = await self._store.terminate(identity, call.actor, call.request_id)
        if document is None:
            await self._reader.stored_instance(identity)
        else:
            self._moved(document, TerminateVM)
        return envelope.OK

    @operation(body=Restart)
    async def restart(self, call: Call) -> bytes:
        """Stop the VM by force and start it again, perhaps with another device or password."""
        fields = await call.fields()
        identity = fields.text("instance_id") or fields.text("id")
        if identity is None:
            raise MissingField("instance_id")
        overrides = _restart_overrides(fields)
        if overrides:
            await self._check_changes(identity, overrides)
        document = await self._store.restart(identity, call.actor, call.request_id, overrides)
        if document is None:
            entry = await self._reader.stored_instance(identity)
            state = state_of(entry.spec, entry.status)
            raise Refused(f"instance is {state}: only one that is Started or Stopped restarts")
        self._moved(document, RestartVM)
        return envelope.OK

    async def _check_changes(self, identity: str, overrides: Mapping[str, str]) -> None:
        """Refuse what the VM's node cannot do; what it already has may be asked for again."""
        entry = await self._reader.stored_instance(identity)
        if not entry.status.node_id:
            return
        node = await self._reader.node(entry.status.node_id)
        for name in overrides:
            if name not in node.status.facts.capabilities:
                raise Refused(f"{name}: the node of this instance does not support it")
        device = overrides.get("usb_device")
        if device in (None, entry.spec.overrides.usb_device):
            return
        if not self._resources.usb_is_free(node.id, device):
            raise Refused(f"usb_device: the node of this instance has no {device} free")

    def _moved(
        self, document: InstanceDocument, kind: type[UpdateVM | TerminateVM | RestartVM]
    ) -> None:
        """Show a new wish at once, and wake whoever acts on it."""
        self._sync.take_instances([document])
        message = kind(instance_id=document.id, generation=document.generation, spec=document.spec)
        self._outgoing.send([message])


def _permitted(request: StartRequest, access: Access) -> StartRequest:
    """The request, with the permission group that it counts for."""
    if access.grants is None and request.group is not None:
        raise Refused(_NO_PERMISSION_GROUPS)
    group = nodes.chosen_group(access, request.group)
    if request.node_id is not None:
        nodes.require(access, nodes.CREATE_INSTANCE, [request.node_id], group)
    return msgspec.structs.replace(request, group=group)


def _restart_overrides(fields: Fields) -> dict[str, str]:
    given = {name: fields.text(name) for name in ("usb_device", "vnc_password")}
    return {name: value for name, value in given.items() if value is not None}
