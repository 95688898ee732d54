"""Statistics, and what clients ask before they log in."""

import asyncio

from contracts.instances import InstanceState
from contracts.stats import STATS, StatsDocument
from tests.integration.gateway.cloud import EPOCH, NODE, Api, Cloud
from tests.waiting import until


async def test_the_figures_of_the_leader_and_of_this_moment(api: Api, cloud: Cloud):
    written = StatsDocument(
        id=STATS,
        epoch=3,
        at=EPOCH,
        average_queue_time=0.41234,
        tasks_per_second=2.0,
        starts_per_second=0.5,
        waiting=1,
        longest_wait=7.25,
    )
    await cloud.store.insert("stats", [written])
    first, _ = await api.start(count=2)
    await cloud.move(first, state=InstanceState.STARTED, node_id=NODE)

    async def told():
        body = (await api("GET", "/api/v1/stats")).body
        return body if body["instances"].get("Started") else None

    assert await until(told) == {
        "average_queue_time": 0.412,
        "tasks_per_second": 2,
        "starts_per_second": 0.5,
        "waiting": 1,
        "longest_wait": 7.25,
        "updated": "2031-05-04T10:00:00Z",
        "instances": {"Started": 1, "Scheduling": 1},
        "nodes": {"Active": 1},
    }


async def test_without_any_leader_there_are_no_figures(api: Api):
    answer = await api("GET", "/api/v1/stats")
    assert (answer.code, answer.json["status"]) == (503, "FAIL")


async def test_clients_learn_that_there_is_no_single_sign_on(api: Api):
    assert (await api("GET", "/config/v1/auth")).body == {}
    asked = [api("HEAD", path) for path in ("/config/v1/auth", "/api/v1/status")]
    assert [(a.code, a.raw) for a in await asyncio.gather(*asked)] == [(200, b"")] * 2
