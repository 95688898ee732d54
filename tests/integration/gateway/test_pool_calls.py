"""Pools through the API: their shape, what is announced, and claims of members that are there."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from contracts.events import EventHappened
from contracts.instances import InstanceDocument, InstanceState, StartVM
from contracts.pools import PoolChanged, PoolRemoved
from tests.integration.gateway.cloud import TEMPLATE, Api, Cloud
from tests.integration.gateway.pools import keep, make_pool
from tests.waiting import until


async def test_a_pool_looks_as_it_was_asked_for(api: Api):
    shift = {"days": ["mon", "sun"], "from": "07:30", "to": "24:00", "size": 4}
    wish = {
        "name": "warm",
        "vmid": TEMPLATE,
        "tag": "v1",
        "size": 2,
        "schedule": [shift],
        "time_zone": "Europe/Berlin",
        "priority": 7,
        "overrides": {"vcpu": 4},
    }
    made = (await api("POST", "/api/v1/pool", wish)).body
    assert made == wish | {"id": made["id"], "group_id": None, "members": 0, "ready": 0}
    assert (await api("GET", "/api/v1/pool")).body == [made]
    change = {"tag": "", "schedule": [], "overrides": {}, "size": 3}
    assert (await api("PUT", f"/api/v1/pool?id={made['id']}", change)).body is None
    changed = made | change | {"tag": None}
    assert (await api("GET", f"/api/v1/pool?id={made['id']}")).body == changed
    assert (await api("DELETE", "/api/v1/pool", {"id": made["id"]})).body is None
    for verb in ("GET", "PUT", "DELETE"):
        gone = await api(verb, f"/api/v1/pool?id={made['id']}", {})
        assert gone.failure == "Not found"


async def test_what_becomes_of_a_pool_is_announced_with_its_events(api: Api, cloud: Cloud):
    pool = await make_pool(api)
    await api("PUT", f"/api/v1/pool?id={pool}", {"size": 0})
    await api("DELETE", f"/api/v1/pool?id={pool}")
    await until(lambda: cloud.said(PoolRemoved))
    changes = [message.pool for message in cloud.said(PoolChanged)]
    assert [(known.generation, known.size) for known in changes] == [(1, 1), (2, 0)]
    events = await until(lambda: len(cloud.said(EventHappened)) == 3 and cloud.said(EventHappened))
    assert [str(event.kind) for event in events] == ["PoolCreated", "PoolUpdated", "PoolDeleted"]


async def test_members_are_claimed_once_whoever_asks(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    pool = await make_pool(api)
    kept = {await keep(cloud, pool) for _ in range(4)}
    answers = await asyncio.gather(*(each.start() for each in (api, other) * 5))
    ids = [identity for (identity,) in answers]
    assert len(set(ids)) == 10
    assert kept <= set(ids)
    assert set(await api.listed()) == set(ids)


async def test_a_member_that_dies_while_it_is_claimed_is_not_taken(api: Api, cloud: Cloud):
    pool = await make_pool(api)
    kept = await keep(cloud, pool)
    insert, deaths = cloud.store.transact, [kept]

    async def die_first(writes):
        while deaths:
            await cloud.write_status(deaths.pop(), state=InstanceState.ERROR)
        await insert(writes)

    cloud.store.transact = die_first
    (identity,) = await api.start()
    assert identity != kept
    assert (await api.vm(identity))["instance_state"] == "Scheduling"


async def test_a_claim_is_one_wish_that_wakes_the_scheduler(api: Api, cloud: Cloud):
    kept = await keep(cloud, await make_pool(api))
    (identity,) = await api.start(external_id="job-7", priority=3)
    assert identity == kept
    [said] = await until(lambda: cloud.said(StartVM))
    stored = await cloud.store.get("instances", InstanceDocument, kept)
    assert stored is not None
    assert said.instance.spec == stored.spec
    assert (stored.generation, stored.pending) == (2, True)
    assert (stored.spec.pool_id, stored.spec.priority) == (None, 3)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["plain", "with-a-key"])
async def test_without_a_member_ready_a_start_is_a_start(api: Api, cloud: Cloud, headers):
    pool = await make_pool(api)
    kept = await keep(cloud, pool)
    await api("DELETE", "/api/v1/vm", {"id": kept})
    answer = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE}, headers=headers)
    assert answer.body != [kept]
    assert set(await api.listed()) == set(answer.body)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"overrides": {"mac_address": "52:54:00:00:00:01"}}, "mac_address"),
        ({"overrides": {"hw_serial": "x"}}, "hw_serial"),
    ],
)
async def test_a_pool_whose_members_could_never_run_is_refused(api: Api, wish, field):
    body = {"name": "warm", "vmid": TEMPLATE, "size": 1} | wish
    assert (await api("POST", "/api/v1/pool", body)).failure.startswith(f"{field}:")
    pool = await make_pool(api)
    assert (await api("PUT", f"/api/v1/pool?id={pool}", wish)).failure.startswith(f"{field}:")


async def test_what_a_pool_keeps_is_listed_like_any_other_list(api: Api, cloud: Cloud):
    pool, other = await make_pool(api), await make_pool(api)
    kept = {await keep(cloud, pool) for _ in range(3)}
    await keep(cloud, other)
    path = f"/api/v1/vm?pool={pool}"

    async def listed() -> set[str]:
        return {item["instance_id"] for item in (await api("GET", path)).body}

    await until(lambda: _equal(listed, kept))
    whole = await api("GET", path)
    assert whole.headers["X-Total-Count"] == "3"
    same = await api("GET", path, headers={"If-None-Match": whole.headers["ETag"]})
    assert same.code == 304
    assert len((await api("GET", f"{path}&limit=2")).body) == 2
    assert (await api("GET", f"{path}&state=Error")).body == []
    shown = {p["id"]: p["members"] for p in (await api("GET", "/api/v1/pool")).body}
    assert shown == {pool: 3, other: 1}


async def test_changes_of_one_moment_are_all_made(api: Api, cloud: Cloud):
    other, pool = await cloud.gateway(), await make_pool(api)
    changes = [
        each("PUT", f"/api/v1/pool?id={pool}", {field: 5})
        for each, field in ((api, "size"), (other, "priority"))
    ]
    assert [answer.json["status"] for answer in await asyncio.gather(*changes)] == ["OK", "OK"]
    shown = (await api("GET", f"/api/v1/pool?id={pool}")).body
    assert (shown["size"], shown["priority"]) == (5, 5)


async def _equal(ask: Callable[[], Awaitable[set[str]]], wanted: set[str]) -> bool:
    return await ask() == wanted
