import asyncio
from datetime import timedelta

import msgspec

from chassis.bus.port import Queue
from chassis.clock import SystemClock
from contracts.distributions import DeleteTemplate
from contracts.documents import say
from contracts.events import EventHappened, EventKind
from contracts.nodes import NodeDocument, NodeFacts, NodeSpec, NodeStatus
from contracts.templates import (
    RemoveTemplateFromNodes,
    TemplateChanged,
    TemplateDocument,
    TemplateRemoved,
)
from corral.registry import RegistryClient
from registry.blobs.disk import DiskBlobs
from registry.store import OUTBOX
from tests.registries import push, qcow2, qcow2_over, running_registry
from tests.registry_storage import Storage
from tests.waiting import until

TEMPLATE = "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce"
KINDS = TemplateChanged | TemplateRemoved | EventHappened | DeleteTemplate


class Ear:
    """Hears everything of some keys."""

    def __init__(self):
        self.heard = []
        self.bodies = []

    def receive(self, delivery):
        self.bodies.append(delivery.body)
        self.heard += msgspec.json.decode(delivery.body, type=list[KINDS])
        task = asyncio.ensure_future(delivery.ack())
        self.task = task

    def of(self, kind):
        return [message for message in self.heard if isinstance(message, kind)]


async def listen(bus, *keys):
    ear = Ear()
    await bus.consume(Queue(name="ear", keys=keys), ear.receive)
    return ear


async def outbox_is_empty(store):
    return await store.count(OUTBOX, {}) == 0


async def test_a_push_is_told_with_the_whole_template_and_once_in_the_event_log(
    registry, client, own_store
):
    ear = await listen(registry.bus, "template.#", "event.#")
    digest = await push(client, TEMPLATE, "v1", [qcow2()])
    await until(lambda: len(ear.heard) == 2)
    (changed,) = ear.of(TemplateChanged)
    assert changed.template == await own_store.get("templates", TemplateDocument, TEMPLATE)
    assert changed.template.versions[0].digest == digest
    (event,) = ear.of(EventHappened)
    assert event.kind is EventKind.TEMPLATE_PUSHED
    assert event.subject == TEMPLATE
    assert event.fields == {"template_id": TEMPLATE, "tag": "v1", "version": 0}
    assert event.id
    assert event.request_id
    await until(lambda: outbox_is_empty(own_store))


async def test_the_same_push_again_is_no_second_event(registry, client):
    ear = await listen(registry.bus, "template.#", "event.#")
    layer = qcow2()
    await push(client, TEMPLATE, "v1", [layer])
    await push(client, TEMPLATE, "v1", [layer])
    await until(lambda: len(ear.of(TemplateChanged)) == 2)
    assert len(ear.of(EventHappened)) == 1


async def test_the_event_of_a_removal_names_who_asked_through_another_service(
    registry, client, http
):
    ear = await listen(registry.bus, "event.#")
    await push(client, TEMPLATE, "v1", [qcow2()])
    asker = {"X-Corral-Actor": "ci-user", "X-Request-ID": "remove-7"}
    await http.delete(f"/registry/vm?id={TEMPLATE}", headers=asker)
    await until(lambda: len(ear.heard) == 2)
    event = ear.heard[1]
    assert event.kind is EventKind.DELETE_REGISTRY_VM
    assert (event.actor, event.request_id) == ("ci-user", "remove-7")


async def test_nothing_is_lost_while_the_bus_is_down(registry, client, own_store):
    ear = await listen(registry.bus, "template.#", "event.#")
    registry.bus.cut()
    await push(client, TEMPLATE, "v1", [qcow2()])
    await push(client, TEMPLATE, "v2", [qcow2()])
    assert await own_store.count(OUTBOX, {}) == 4
    registry.bus.heal()
    await until(lambda: len(ear.heard) == 4)
    revisions = [message.template.revision for message in ear.of(TemplateChanged)]
    assert revisions == sorted(revisions)
    await until(lambda: outbox_is_empty(own_store))


async def test_a_revert_tells_what_is_left(registry, client):
    ear = await listen(registry.bus, "template.#", "event.#")
    layer = qcow2()
    for tag in ("v1", "v2", "v3"):
        await push(client, TEMPLATE, tag, [layer, qcow2_over(layer)])
    assert await client.revert(TEMPLATE, 1)
    await until(lambda: len(ear.of(TemplateChanged)) == 4)
    assert [v.tag for v in ear.of(TemplateChanged)[-1].template.versions] == ["v1"]


async def test_a_revert_to_the_beginning_removes_the_template(registry, client):
    ear = await listen(registry.bus, "template.#", "event.#")
    await push(client, TEMPLATE, "v1", [qcow2()])
    assert await client.revert(TEMPLATE, 0)
    await until(lambda: ear.of(TemplateRemoved))
    await until(lambda: len(ear.of(EventHappened)) == 2)
    event = ear.of(EventHappened)[-1]
    assert event.kind == EventKind.DELETE_REGISTRY_VM
    (changed,), (removed,) = ear.of(TemplateChanged), ear.of(TemplateRemoved)
    assert removed.revision > changed.template.revision


async def test_removal_from_nodes_orders_each_known_node(registry, own_store):
    now = SystemClock().now()
    node = NodeDocument(
        id="node-1",
        created=now,
        spec=NodeSpec(),
        status=NodeStatus(
            facts=NodeFacts(name="n", address="a", arch="amd64", queue="shared"),
            joined=now,
            changed=now,
            last_seen=now,
        ),
    )
    await own_store.insert("nodes", [node])
    ear = await listen(registry.bus, "node.shared")
    command = RemoveTemplateFromNodes(template_id=TEMPLATE, node_ids=("node-1", "unknown"))
    await registry.bus.publish([say(command)])
    (order,) = await until(lambda: ear.of(DeleteTemplate))
    assert (order.node_id, order.template_id) == ("node-1", TEMPLATE)
    assert order.deadline > now + timedelta(minutes=5)


async def test_concurrent_pushes_to_one_template_lose_no_version(http, client):
    layer = qcow2()
    names = [f"v{number}" for number in range(6)]
    await asyncio.gather(
        *(push(client, TEMPLATE, name, [layer, qcow2_over(layer)]) for name in names)
    )
    async with http.get("/registry/v2/vm", params={"id": TEMPLATE}) as response:
        versions = (await response.json())["body"]["versions"]
    assert sorted(v["tag"] for v in versions) == names
    assert [v["number"] for v in versions] == list(range(6))


async def test_what_a_stopped_process_left_unsaid_is_said_by_the_next(
    own_store, tmp_path, system_bus
):
    async with running_registry(own_store, tmp_path) as registry:
        registry.bus.cut()
        async with RegistryClient(registry.address) as client:
            await push(client, TEMPLATE, "v1", [qcow2()])
    ear = await listen(system_bus, "template.#", "event.#")
    async with running_registry(own_store, tmp_path, bus=system_bus):
        await until(lambda: len(ear.heard) == 2)
        await until(lambda: outbox_is_empty(own_store))


async def test_a_change_that_says_nothing_wakes_nobody(own_store, tmp_path, monkeypatch):
    storage = Storage(own_store, DiskBlobs(tmp_path), tmp_path, SystemClock())
    await storage.start()
    kicks = []
    monkeypatch.setattr(storage.outbox, "kick", lambda: kicks.append("kick"))
    await storage.push("a", "v1", [b"no template"])
    await storage.templates.pulled(TEMPLATE, {})
    assert kicks == []
    await storage.push_template(TEMPLATE, "v1", [qcow2()])
    assert kicks == ["kick"]
    await storage.folder.stop()
