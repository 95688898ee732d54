"""What a scheduler finds when it takes over."""

from datetime import UTC, datetime
from pathlib import Path

from chassis.bus.memory import MemoryBus
from chassis.lease import LEASES, LeaseDocument
from chassis.store.mongo import MongoStore
from chassis.store.port import Delete, Update
from contracts.documents import say
from contracts.events import EventHappened, EventKind, EventType
from contracts.nodes import NodeDocument, NodeFacts, NodeSpec, NodeStatus
from tests.cloud import running
from tests.waiting import until


async def test_a_node_that_left_before_its_farewell_was_told_is_told_and_removed(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
):
    now = datetime.now(UTC)
    farewell = EventHappened(
        id="farewell",
        kind=EventKind.NODE_UNREGISTERED,
        event_type=EventType.SYSTEM,
        sub_type="nodeAction",
        subject="n1",
        at=now,
    )
    facts = NodeFacts(name="n1", address="10.0.0.1", arch="amd64")
    node = NodeDocument(
        id="n1",
        status_revision=3,
        created=now,
        spec=NodeSpec(),
        status=NodeStatus(
            observed_generation=1, facts=facts, left=True, joined=now, changed=now, last_seen=now
        ),
        outbox=(say(farewell),),
    )
    await own_store.insert("nodes", [node])
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.pusher()
        await cloud.scheduler()

        async def gone():
            return await own_store.get("nodes", NodeDocument, "n1") is None

        await until(gone)
        [told] = await until(lambda: cloud.events("NodeUnregistered"))
        assert told.id == "farewell"


async def test_one_that_cannot_read_the_world_lets_go_and_leads_once_it_can(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
):
    unreadable = {"where": {"_id": "broken"}, "collection": "nodes"}
    broken = Update(change={"$set": {"status": "?"}}, required=False, upsert=True, **unreadable)
    await own_store.write([broken])
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.scheduler()

        async def has_tried(times: int):
            lease = await own_store.get(LEASES, LeaseDocument, "scheduler")
            return lease is not None and lease.epoch >= times and not lease.holder

        await until(lambda: has_tried(2))
        await own_store.write([Delete(**unreadable)])
        await until(cloud.leader_is_there)
        await cloud.agent("n1")

        async def joined():
            return await own_store.get("nodes", NodeDocument, "n1") is not None

        await until(joined)
