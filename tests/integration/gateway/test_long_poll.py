"""Waiting for an instance to move instead of asking again and again."""

import asyncio
import time

import aiohttp
import pytest
from prometheus_client import REGISTRY

from chassis.bus.memory import MemoryBus
from contracts.instances import InstanceState
from tests.integration.gateway.cloud import NODE, Answer, Api, Cloud, running
from tests.waiting import until

REVISION = "X-Corral-Revision"


async def _wait(api: Api, identity: str, revision: str, seconds: int = 30) -> Answer:
    return await api("GET", f"/api/v1/vm?id={identity}&wait={seconds}&revision={revision}")


async def _waiting(count: int = 1) -> None:
    """Wait until so many requests hang."""
    await until(lambda: REGISTRY.get_sample_value("corral_long_polls") == count)


async def test_a_waiter_is_answered_by_the_move(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    seen = (await api("GET", f"/api/v1/vm?id={identity}")).headers[REVISION]
    waiter = asyncio.create_task(_wait(api, identity, seen))
    await _waiting()
    assert not waiter.done()
    await cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running())
    answer = await asyncio.wait_for(waiter, 5)
    assert answer.body["instance_state"] == "Started"
    assert answer.headers[REVISION] != seen


async def test_following_revisions_misses_no_state(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    moves = [
        {"state": InstanceState.PULLING, "progress": 0.5},
        {"state": InstanceState.SCHEDULING},
        {"state": InstanceState.STARTED, "node_id": NODE, "vminfo": running()},
    ]
    answer = await api("GET", f"/api/v1/vm?id={identity}")
    states = [answer.body["instance_state"]]
    for move in moves:
        await cloud.move(identity, **move)
        answer = await _wait(api, identity, answer.headers[REVISION])
        states.append(answer.body["instance_state"])
    assert states == ["Scheduling", "Pulling", "Scheduling", "Started"]


async def test_what_moved_already_is_answered_at_once(api: Api):
    (identity,) = await api.start()
    path = f"/api/v1/vm?id={identity}"
    seen = (await api("GET", path)).headers[REVISION]
    await api("PUT", path, {"name": "x"})
    answer = await asyncio.wait_for(_wait(api, identity, seen), 5)
    assert answer.body["name"] == "x"


async def test_the_answer_when_the_time_is_over_is_what_is(api: Api):
    (identity,) = await api.start()
    seen = (await api("GET", f"/api/v1/vm?id={identity}")).headers[REVISION]
    began = time.monotonic()
    answer = await _wait(api, identity, seen, seconds=1)
    assert 0.9 < time.monotonic() - began < 5
    assert answer.body["instance_state"] == "Scheduling"
    assert answer.headers[REVISION] == seen


async def test_an_etag_serves_as_revision(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    path = f"/api/v1/vm?id={identity}"
    tag = (await api("GET", path)).headers["ETag"]
    over = await api("GET", f"{path}&wait=1", headers={"If-None-Match": tag})
    assert over.code == 304
    waiter = asyncio.create_task(api("GET", f"{path}&wait=30", headers={"If-None-Match": tag}))
    await _waiting()
    await api("DELETE", "/api/v1/vm", {"id": identity})
    assert (await asyncio.wait_for(waiter, 5)).body["instance_state"] == "Terminating"


async def test_without_a_revision_the_next_move_is_waited_for(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    waiter = asyncio.create_task(api("GET", f"/api/v1/vm?id={identity}&wait=30"))
    await _waiting()
    await cloud.move(identity, state=InstanceState.ERROR, message="no disk")
    assert (await asyncio.wait_for(waiter, 5)).body["message"] == "no disk"


async def test_waiting_for_the_end_ends_with_not_found(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    seen = (await api("GET", f"/api/v1/vm?id={identity}")).headers[REVISION]
    waiter = asyncio.create_task(_wait(api, identity, seen))
    await _waiting()
    await cloud.remove(identity)
    assert (await asyncio.wait_for(waiter, 5)).failure == "Not found"
    assert (await _wait(api, "nobody", "1.0")).failure == "Not found"


async def test_hundreds_wait_for_one_instance_and_all_are_answered(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    seen = (await api("GET", f"/api/v1/vm?id={identity}")).headers[REVISION]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        many = Api(api.gateway, session)
        waiters = [asyncio.create_task(_wait(many, identity, seen)) for _ in range(300)]
        await _waiting(300)
        await cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running())
        answers = await asyncio.wait_for(asyncio.gather(*waiters), 20)
    assert {answer.body["instance_state"] for answer in answers} == {"Started"}


async def test_a_gateway_that_ends_lets_its_waiters_go_with_an_answer(api: Api):
    (identity,) = await api.start()
    waiter = asyncio.create_task(api("GET", f"/api/v1/vm?id={identity}&wait=60"))
    await _waiting()
    began = time.monotonic()
    await api.gateway.stop()
    assert (await waiter).body["instance_state"] == "Scheduling"
    assert time.monotonic() - began < 4


async def test_a_waiter_at_a_gateway_without_its_bus_is_answered(
    api: Api, cloud: Cloud, system_bus: MemoryBus
):
    deaf = await cloud.gateway(system_bus)
    (identity,) = await api.start()
    seen = (await deaf("GET", f"/api/v1/vm?id={identity}")).headers[REVISION]
    system_bus.cut()
    waiter = asyncio.create_task(_wait(deaf, identity, seen))
    await _waiting()
    await cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running())
    assert (await asyncio.wait_for(waiter, 10)).body["instance_state"] == "Started"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wait=61&revision=1.0", "wait"),
        ("wait=x", "wait"),
        ("wait=-1", "wait"),
        ("wait=1&revision=7", "revision"),
        ("wait=1&revision=1.0.0", "revision"),
    ],
)
async def test_a_wait_that_cannot_be_is_named(api: Api, query, field):
    (identity,) = await api.start()
    answer = await api("GET", f"/api/v1/vm?id={identity}&{query}")
    assert (answer.code, answer.json["message"].partition(":")[0]) == (400, field)
