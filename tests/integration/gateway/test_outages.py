"""The database away, slow, or refusing; nothing is promised that is not durable."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from api_gateway.store import GatewayStore
from chassis.errors import StoreDown
from chassis.servers import MongoServer
from chassis.store.mongo import MongoStore
from chassis.store.port import Write
from contracts.instances import InstanceDocument, StartVM
from tests.integration.gateway.cloud import TEMPLATE, Api, Cloud
from tests.integration.gateway.pools import keep, make_pool
from tests.waiting import until

DISTRIBUTE = "/api/v1/registry/vm/distribute"
LONG_RUNNING = (
    ("GET", DISTRIBUTE, None),
    ("POST", DISTRIBUTE, {"template_id": TEMPLATE}),
    ("DELETE", f"{DISTRIBUTE}?id=x", None),
    ("DELETE", f"/api/v1/registry/vm/remove?id={TEMPLATE}", None),
    ("GET", "/api/v1/image", None),
    ("POST", "/api/v1/image", {"id": "x", "tag": "v3", "target_vm_id": TEMPLATE}),
)


@pytest.fixture
async def fragile(own_mongod: MongoServer) -> AsyncIterator[Cloud]:
    """A cloud whose database this test may kill."""
    store = MongoStore(own_mongod.url, "fragile", timeout=0.5)
    cloud = Cloud(store)
    await cloud.start()
    yield cloud
    await cloud.stop()
    await store.stop()


async def test_without_the_database_reads_go_on_and_writes_fail(
    fragile: Cloud, own_mongod: MongoServer
):
    await fragile.add_template()
    api = await fragile.gateway()
    (identity,) = await api.start()
    own_mongod.kill()
    assert identity in await api.listed()
    assert (await api.vm(identity))["instance_state"] == "Scheduling"
    assert (await api("GET", "/api/v1/status")).body["status"] == "Running"
    for verb, body in (("POST", {"vmid": TEMPLATE}), ("DELETE", {"id": identity})):
        answer = await api(verb, "/api/v1/vm", body)
        assert answer.code == 503
        assert answer.json == {
            "status": "FAIL",
            "message": "temporarily unavailable, try again later",
        }
    assert (await api("GET", "/api/v1/vm?id=unknown")).code == 503
    answers = await asyncio.gather(*(api(*call) for call in LONG_RUNNING))
    assert [(answer.code, answer.json["status"]) for answer in answers] == [(503, "FAIL")] * 6
    await own_mongod.start()
    await until(lambda: _starts(api), limit=20)


async def _starts(api: Api) -> bool:
    return (await api("POST", "/api/v1/vm", {"vmid": TEMPLATE})).code == 200


class HalfStore(MongoStore):
    """Stores instances and then loses the answer, or stumbles over several, as often as told."""

    lost = 0
    stumbles = 0

    async def insert(self, collection: str, documents: Sequence[msgspec.Struct]) -> None:
        if collection == "instances" and self.stumbles and len(documents) > 1:
            self.stumbles -= 1
            await super().insert(collection, documents[:1])
            raise RuntimeError("one document was refused")
        await super().insert(collection, documents)
        await self._lose(collection == "instances")

    async def transact(self, writes: Sequence[Write]) -> None:
        await super().transact(writes)
        await self._lose(any(write.collection == "instances" for write in writes))

    async def _lose(self, instances: Any) -> None:
        if instances and self.lost:
            self.lost -= 1
            raise StoreDown


@pytest.fixture
async def half(mongod: MongoServer) -> AsyncIterator[tuple[Cloud, HalfStore]]:
    store = HalfStore(mongod.url, f"half_{uuid.uuid4().hex[:12]}")
    cloud = Cloud(store)
    await cloud.start()
    yield cloud, store
    await cloud.stop()
    await store.stop()


@pytest.mark.parametrize("count", [1, 3])
async def test_what_its_user_was_told_to_have_failed_does_not_run(half, count):
    cloud, store = half
    await cloud.add_template()
    api = await cloud.gateway()
    store.lost = 1
    answer = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE, "count": count, "name": "lost"})
    assert answer.code == 503
    await until(lambda: _all_withdrawn(store, count))
    assert cloud.said(StartVM) == []


async def test_a_claim_that_was_told_to_have_failed_ends_but_not_one_that_another_made(half):
    cloud, store = half
    await cloud.add_template()
    api = await cloud.gateway()
    pool = await make_pool(api)
    kept = await keep(cloud, pool)
    store.lost = 1
    answer = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE, "name": "lost"})
    assert answer.code == 503
    await until(lambda: _all_withdrawn(store, 1))
    others = await keep(cloud, pool)
    assert await api.start() == [others]
    await GatewayStore(store).withdraw([kept, others], "withdrawn", "somebody else's request")
    stored = await store.get("instances", InstanceDocument, others)
    assert not stored.spec.terminate


async def test_an_idempotent_repeat_finds_what_the_lost_answer_made(half):
    cloud, store = half
    await cloud.add_template()
    api = await cloud.gateway()
    headers = {"Idempotency-Key": "lost answer"}
    store.lost = 1
    first = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE}, headers=headers)
    assert first.code == 503
    (identity,) = (await api("POST", "/api/v1/vm", {"vmid": TEMPLATE}, headers=headers)).body
    assert (await api.vm(identity))["instance_state"] == "Scheduling"


async def test_one_refused_document_does_not_harm_its_neighbours(half):
    cloud, store = half
    await cloud.add_template()
    api = await cloud.gateway()
    store.stumbles = 1
    answers = await asyncio.gather(*(api.start() for _ in range(8)))
    ids = {identity for answer in answers for identity in answer}
    assert (len(ids), store.stumbles) == (8, 0)
    stored = await store.find("instances", InstanceDocument, {"_id": {"$in": sorted(ids)}})
    assert len(stored) == 8


async def test_an_internal_fault_is_500_and_tells_nothing(half):
    cloud, store = half
    await cloud.add_template()
    api = await cloud.gateway()

    async def explode(*_arguments: Any, **_named: Any) -> None:
        raise RuntimeError("mongodb://user:secret@host")

    store.change = explode
    answer = await api("DELETE", "/api/v1/vm", {"id": "x"}, headers={"X-Request-ID": "req-1"})
    assert (answer.code, answer.json["status"]) == (500, "FAIL")
    assert "secret" not in answer.json["message"]
    assert "req-1" in answer.json["message"]


async def _all_withdrawn(store: MongoStore, count: int) -> bool:
    named = await store.find("instances", InstanceDocument, {"spec.name": "lost"})
    gone = [document for document in named if document.spec.terminate and document.pending]
    return len(gone) == len(named) >= count
