"""A gateway on real HTTP and a real database; the rest of the cloud is played by the test."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec

from api_gateway.app import Gateway, build
from api_gateway.config import Settings
from chassis.bus.memory import MemoryBus
from chassis.bus.port import Delivery, Queue, QueueKind
from chassis.clock import Clock, SystemClock
from chassis.store.port import Delete, Store, Update, literal_update, plain
from contracts.catalog import message_types
from contracts.documents import say
from contracts.events import EventHappened
from contracts.instances import InstanceChanged, InstanceDocument, InstanceRemoved
from contracts.messages import Message
from contracts.nodes import NodeChanged, NodeDocument, NodeFacts, NodeSpec, NodeStatus
from contracts.templates import TemplateDocument, Version
from contracts.vms import PortForward, VmInfo
from tests.conformance import Conformance
from tests.waiting import until

TEMPLATE = "6b135004-0c89-43bb-b892-74796b8d266c"
SUSPENDED = "a29dcb72-f663-469d-9d83-8c4641b2e5dd"
NODE = "f8707005-4630-4c9c-8403-c9c5964097f6"
EPOCH = datetime(2031, 5, 4, 10, tzinfo=UTC)
CAPABILITIES = ("vcpu", "vram", "disk", "port_forwarding_override", "network_mode")


class Answer(msgspec.Struct):
    """What came over HTTP."""

    code: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def body(self) -> Any:
        envelope = self.json
        assert (self.code, envelope["status"], envelope["message"]) == (200, "OK", ""), envelope
        return envelope.get("body")

    @property
    def failure(self) -> str:
        envelope = self.json
        assert envelope["status"] == "FAIL"
        assert "body" not in envelope
        assert self.code == 200, envelope
        return envelope["message"]


class Api:
    """Calls one gateway."""

    def __init__(self, gateway: Gateway, session: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self.session = session

    async def __call__(self, verb: str, path: str, body: Any = None, **given: Any) -> Answer:
        if body is not None:
            given["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = self.gateway.address + path
        async with self.session.request(verb, url, **given) as response:
            return Answer(response.status, response.headers, await response.read())

    async def start(self, **fields: Any) -> list[str]:
        return (await self("POST", "/api/v1/vm", {"vmid": TEMPLATE, **fields})).body

    async def vm(self, identity: str) -> dict[str, Any]:
        return (await self("GET", f"/api/v1/vm?id={identity}")).body

    async def listed(self) -> dict[str, dict[str, Any]]:
        return {item["instance_id"]: item for item in (await self("GET", "/api/v1/vm")).body}


class Cloud:
    """What the other services would do: they write status, and say so."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self.store = store
        self.clock = clock or SystemClock()
        self.bus = MemoryBus(SystemClock())
        self.heard: list[Message] = []
        self._gateways: list[Gateway] = []
        self._sessions: list[aiohttp.ClientSession] = []
        self._conformance: list[Conformance] = []

    async def start(self) -> None:
        await self.bus.start()
        kinds = (
            *("vm.*", "node.*", "group.*", "pool.*", "distribution.*", "macs.*", "configuration.*"),
            *("event.happened", "image.save", "template.remove", "endpoint.changed"),
        )
        keys = tuple(f"{kind}.v1" for kind in kinds)
        queue = Queue(name="test.scheduler", keys=keys, kind=QueueKind.WORK)
        await self.bus.consume(queue, self._receive)

    async def stop(self) -> None:
        for gateway in self._gateways:
            await gateway.stop()
        for session in self._sessions:
            await session.close()
        await self.bus.stop()
        for each in self._conformance:
            each.check()

    async def gateway(self, bus: MemoryBus | None = None, **settings: Any) -> Api:
        ports = {"listen_port": 0, "metrics_port": 0}
        given = {**ports, "registry_address": "http://127.0.0.1:1", "groups_seconds": 0.2}
        gateway = build(Settings(**(given | settings)), bus or self.bus, self.store, self.clock)
        self._conformance.append(conformance := Conformance(gateway))
        await gateway.start()
        self._gateways.append(gateway)
        session = aiohttp.ClientSession()
        self._sessions.append(session)
        api = Api(gateway, session)
        await until(lambda: self._ready(api))
        conformance.learn((await api("GET", "/openapi.json")).raw)
        return api

    async def _ready(self, api: Api) -> bool:
        return (await api("GET", "/readyz")).code == 200

    def _receive(self, delivery: Delivery) -> None:
        for item in msgspec.json.decode(delivery.body, type=list[msgspec.Raw]):
            kind = message_types()[msgspec.json.decode(item)["type"]]
            self.heard.append(msgspec.json.decode(item, type=kind))
        self._acked = asyncio.ensure_future(delivery.ack())

    def said(self, kind: type[Message]) -> list[Any]:
        """What was heard of a kind; events only once each, for their outbox may repeat them."""
        heard = [message for message in self.heard if isinstance(message, kind)]
        return list({m.id: m for m in heard}.values()) if kind is EventHappened else heard

    async def publish(self, *messages: Message) -> None:
        await self.bus.publish([say(message) for message in messages])

    async def add_template(
        self,
        identity: str = TEMPLATE,
        tags: tuple[str, ...] = ("v1", "v2"),
        *,
        arch: str = "amd64",
        suspended: bool = False,
    ) -> TemplateDocument:
        document = template(identity, tags, arch=arch, suspended=suspended)
        await self.store.write([Delete(collection="templates", where={"_id": identity})])
        await self.store.insert("templates", [document])
        return document

    async def add_node(self, identity: str = NODE, **facts: Any) -> NodeDocument:
        document = node(identity, **facts)
        await self.store.insert("nodes", [document])
        await self.publish(node_changed(document))
        return document

    async def move(self, identity: str, **changes: Any) -> InstanceDocument:
        """Write a new status as the scheduler does, and say it."""
        moved = await self.write_status(identity, **changes)
        await self.publish(instance_changed(moved))
        return moved

    async def write_status(self, identity: str, **changes: Any) -> InstanceDocument:
        document = await self.store.get("instances", InstanceDocument, identity)
        assert document is not None
        revision = document.status_revision + 1
        new = {"observed_generation": document.generation, "changed": datetime.now(UTC)} | changes
        status = msgspec.structs.replace(document.status, **new)
        change = literal_update(
            {"status": plain(status), "status_revision": revision, "pending": False}
        )
        where = {"_id": identity, "status_revision": document.status_revision}
        moved = await self.store.change("instances", InstanceDocument, where, change)
        assert moved is not None
        return moved

    async def remove(self, identity: str) -> None:
        await self.forget(identity)
        await self.publish(InstanceRemoved(instance_id=identity))

    async def forget(self, identity: str) -> None:
        await self.store.write([Delete(collection="instances", where={"_id": identity})])

    async def configure_behind_its_back(self, identity: str, **sets: Any) -> None:
        """Change a document without a word on the bus."""
        change = {"$set": {name.replace("__", "."): value for name, value in sets.items()}}
        where = {"_id": identity}
        await self.store.write([Update(collection="instances", where=where, change=change)])


def template(
    identity: str = TEMPLATE,
    tags: tuple[str, ...] = ("v1", "v2"),
    *,
    arch: str = "amd64",
    suspended: bool = False,
    revision: int = 1,
) -> TemplateDocument:
    return TemplateDocument(
        id=identity,
        revision=revision,
        name="base",
        repository=identity,
        arch=arch,
        size=28221379076,
        last_push=EPOCH,
        next_number=len(tags),
        versions=tuple(
            Version(
                number=number,
                tag=tag,
                digest=f"sha256:{number:064x}",
                images=(f"sha256:{number:064x}", f"sha256:{99:064x}"),
                state_files=(f"sha256:{77:064x}",) if suspended else (),
                size=26937917952,
                created=EPOCH,
                last_push=EPOCH,
            )
            for number, tag in enumerate(tags)
        ),
    )


def node(identity: str = NODE, **facts: Any) -> NodeDocument:
    given = {
        "name": "mini-01",
        "address": "10.0.0.21",
        "arch": "amd64",
        "cpu_count": 8,
        "ram_gb": 16,
        "disk_size": 994662584320,
        "capabilities": CAPABILITIES,
        "agent_version": "0.1.0-0a1b2c3d",
    }
    return NodeDocument(
        id=identity,
        status_revision=1,
        created=EPOCH,
        spec=NodeSpec(),
        status=NodeStatus(
            observed_generation=1,
            facts=NodeFacts(**(given | facts)),
            joined=EPOCH,
            changed=EPOCH,
            last_seen=EPOCH + timedelta(milliseconds=41300),
        ),
    )


def node_changed(document: NodeDocument) -> NodeChanged:
    return NodeChanged(
        node_id=document.id,
        generation=document.generation,
        status_revision=document.status_revision,
        created=document.created,
        spec=document.spec,
        status=document.status,
    )


def instance_changed(document: InstanceDocument) -> InstanceChanged:
    return InstanceChanged(
        instance_id=document.id,
        generation=document.generation,
        status_revision=document.status_revision,
        created=document.created,
        spec=document.spec,
        status=document.status,
    )


def running(**changes: Any) -> VmInfo:
    given = {
        "uuid": str(uuid.uuid4()),
        "name": "mgmtManaged-base-1936000000000000000",
        "status": "running",
        "node_id": NODE,
        "host_ip": "10.0.0.21",
        "ip": "192.168.64.7",
        "cpu_cores": 4,
        "ram_mb": 4096,
        "creation_date": EPOCH,
        "access_date": EPOCH,
        "start_date": EPOCH,
        "timestamp": EPOCH,
        "port_forwarding": (PortForward(name="ssh", guest_port=22, host_port=10000),),
    }
    return VmInfo(**(given | changes))
