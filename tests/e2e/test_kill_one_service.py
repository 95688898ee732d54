"""One service is killed in the middle of its work; nobody who asked for a VM notices."""

import asyncio

import pytest

from tests.event_log import LIFE, START, kinds_by_subject, read_log, without_holes
from tests.simulated_hosts import doubles, history, live_vms
from tests.waiting import until

QUICK = {"instance_time_out": 1.0, "heartbeat_seconds": 1.0, "sweep_seconds": 2.0}
SHORT = QUICK | {
    "lease_seconds": 3.0,
    "validity_seconds": 6.0,
    "skew_seconds": 1.0,
    "node_active_timeout": 5.0,
}


@pytest.fixture
async def small(cloud):
    """A registry, a gateway, an event-pusher; schedulers and agents are the test's."""
    cloud.registry()
    cloud.gateway("gateway")
    cloud.pusher("pusher", lease_seconds=3.0)
    return cloud


def leader_of(cloud, names):
    """The scheduler that last said that it leads."""
    found = [
        (line["epoch"], name)
        for name in names
        if cloud.running(name)
        for line in cloud.log_of(name)
        if line["event"] == "scheduler.leading"
    ]
    return max(found)[1] if found else ""


async def test_a_scheduler_that_stands_by_takes_over_within_ten_seconds(small, cloud_store):
    """With the lease of production."""
    names = ("scheduler1", "scheduler2")
    for name in names:
        small.scheduler(name, **QUICK)
    small.agent("n", nodes=20, heartbeat=1.0, max_vm_count=8, sim_start=0.3)
    await small.up()
    await small.push_template()
    await small.api.ready(20)
    before = await small.api.start(count=60)
    await until(lambda: live_vms(small.data("n")), 10)
    first = leader_of(small, names)
    small.kill(first)
    killed = asyncio.get_running_loop().time()
    after = await small.api.start(count=60)
    gone = before[:10]
    for vm in gone:
        await small.api.terminate(vm)
    [second] = set(names) - {first}
    await until(lambda: leader_of(small, names) == second, 10)
    assert asyncio.get_running_loop().time() - killed < 10
    wanted = [*before[10:], *after]
    await small.api.reaches(wanted, "Started", 20)
    await small.api.reaches(gone, "", 20)
    assert await live_vms(small.data("n")) == dict.fromkeys(wanted, 1)
    assert await doubles(small.data("n")) == {}
    small.start(first)
    await small.up(first)

    async def complete():
        kinds = kinds_by_subject(await read_log(cloud_store))
        return all(kinds.get(vm, [])[:2] == list(START) for vm in wanted)

    await until(complete, 10)
    log = await read_log(cloud_store)
    assert without_holes(log)
    kinds = kinds_by_subject(log)
    assert all(kinds[vm] == list(START) for vm in wanted)


async def test_an_agent_that_was_killed_finishes_what_it_had_begun(small, cloud_store):
    small.scheduler("scheduler", **SHORT)
    small.agent(
        "n", nodes=10, heartbeat=1.0, max_vm_count=6, sim_pull=1.0, sim_clone=0.2, sim_start=0.5
    )
    await small.up()
    await small.push_template()
    await small.api.ready(10)
    ids = await small.api.start(count=50)
    uuids = {}
    for _ in range(3):
        await until(lambda: small.running("n"))
        seen = len(await history(small.data("n")))

        async def further(seen=seen):
            return len(await history(small.data("n"))) > seen + 15

        await until(further, 15)
        small.kill("n")
        for vm in ids:
            shown = await small.api.show(vm)
            if shown["instance_state"] == "Started":
                uuids.setdefault(vm, shown["vminfo"]["uuid"])
        small.start("n")
    await small.api.reaches(ids, "Started", 30)
    assert await live_vms(small.data("n")) == dict.fromkeys(ids, 1)
    assert await doubles(small.data("n")) == {}
    for vm, uuid in uuids.items():
        assert (await small.api.show(vm))["vminfo"]["uuid"] == uuid
    for vm in ids:
        await small.api.terminate(vm)
    await small.api.reaches(ids, "", 30)

    async def empty():
        return not await live_vms(small.data("n"))

    await until(empty, 5)

    async def complete():
        kinds = kinds_by_subject(await read_log(cloud_store))
        return all(len(kinds.get(vm, [])) >= len(LIFE) for vm in ids)

    await until(complete, 10)
    kinds = kinds_by_subject(await read_log(cloud_store))
    for vm in ids:
        assert [kind for kind in kinds[vm] if kind != "StartRetried"] == list(LIFE)


async def test_the_starts_of_a_node_that_never_comes_back_go_elsewhere(small, cloud_store):
    """It dies while it pulls: no VM of its own can be left."""
    small.scheduler("scheduler", **SHORT)
    small.agent("dying", heartbeat=1.0, max_vm_count=3, sim_pull=30.0)
    await small.up()
    await small.push_template()
    await small.api.ready(1)
    ids = await small.api.start(count=12)

    async def pulls():
        states = await small.api.states()
        found = [vm for vm in ids if states[vm] == "Pulling"]
        return found if len(found) == 3 else []

    stuck = await until(pulls, 10)
    small.kill("dying")
    small.agent("living", nodes=2, heartbeat=1.0, max_vm_count=6, sim_start=0.1)
    await small.api.reaches(ids, "Started", 40)
    for vm in stuck:
        shown = await small.api.show(vm)
        first, second = shown["attempts"]
        assert (first["node_id"], second["node_id"]) == ("dying", shown["node_id"])
        assert shown["node_id"].startswith("living")
    nodes = await small.api.nodes()
    assert nodes["dying"]["state"] == "Offline"
    assert await live_vms(small.data("living")) == dict.fromkeys(ids, 1)
    assert not await live_vms(small.data("dying"))
    await small.api.ok("DELETE", "node", {"node_id": "dying"})

    async def forgotten():
        return "dying" not in await small.api.nodes()

    await until(forgotten, 5)
    kinds = kinds_by_subject(await read_log(cloud_store))
    assert all(kinds[vm] == ["StartVM", "StartRetried", "VMStarted"] for vm in stuck)
