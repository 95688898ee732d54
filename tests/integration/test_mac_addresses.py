"""MAC addresses from the pool to the VM: unique under concurrency and across take-overs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from contracts.macs import POOL, MacPoolDocument
from tests.cloud import Cloud, running
from tests.waiting import until

MANAGED = {
    "manage_mac_addresses": True,
    "mac_addr_range": "02:00:00:00:00:01-02:00:00:00:00:06",
}


@pytest.fixture
async def cloud(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[Cloud]:
    """Two nodes with room for more than the six addresses; no scheduler yet."""
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        await cloud.gateway()
        for name in ("n1", "n2"):
            await cloud.agent(name, max_vm_count=9)
        yield cloud


def addresses(cloud):
    """What VMs really have, by instance."""
    hosts = (cloud.drivers[node].hypervisor for node in cloud.node_ids)
    return {vm.instance_id: vm.info.mac_address for host in hosts for vm in host.vms.values()}


async def started(cloud):
    listed = (await cloud.call("GET", "vm"))["body"]
    return {i["instance_id"]: i["vm"] for i in listed if i["vm"]["instance_state"] == "Started"}


async def test_addresses_stay_unique_when_the_scheduler_is_killed(cloud):
    first = await cloud.scheduler(**MANAGED)
    await cloud.ready(2)
    await asyncio.gather(*(cloud.start() for _ in range(3)))
    await until(lambda: _so_many(cloud, 3))
    await first.kill()
    await cloud.scheduler(**MANAGED)
    await asyncio.gather(*(cloud.start() for _ in range(5)))
    await until(lambda: _so_many(cloud, 6), 20)
    have = addresses(cloud)
    assert Counter(have.values()) == Counter(f"02:00:00:00:00:0{n}" for n in range(1, 7))
    shown = {identity: vm["mac_address"] for identity, vm in (await started(cloud)).items()}
    assert shown == have
    await until(lambda: _wait_for_an_address(cloud, 2))
    assert (await cloud.call("GET", "macaddr?count=1"))["body"] == 0
    await cloud.call("DELETE", "vm", {"id": next(iter(have))})
    await until(lambda: _wait_for_an_address(cloud, 1))


async def test_a_purge_reaches_the_scheduler_and_a_fill_helps_who_waits(cloud):
    await cloud.scheduler(**MANAGED)
    await cloud.pusher()
    await cloud.ready(2)
    await cloud.call("DELETE", "macaddr")
    [vm] = await cloud.start()
    await until(lambda: _wait_for_an_address(cloud, 1))
    await cloud.call("PUT", "macaddr")
    await cloud.reaches([vm], "Started")
    told = await until(lambda: _told(cloud, 2))
    assert [event.fields["purged"] for event in told] == [True, False]
    assert {event.event_type for event in told} == {"apiAction"}


async def test_a_wish_whose_message_was_lost_is_found(cloud, own_store):
    await cloud.scheduler(**MANAGED)
    await cloud.ready(2)
    wish = {"$set": {"spec.purged": True, "pending": True}, "$inc": {"generation": 1}}
    await own_store.change("mac_pool", MacPoolDocument, {"_id": POOL}, wish)

    async def observed():
        pool = await own_store.get("mac_pool", MacPoolDocument, POOL)
        return pool.status.observed_generation == 2 and not pool.pending

    await until(observed)
    await cloud.start()
    await until(lambda: _wait_for_an_address(cloud, 1))


async def test_a_scheduler_without_management_says_so(cloud):
    managing = await cloud.scheduler(**MANAGED)
    await cloud.ready(2)
    assert (await cloud.call("GET", "macaddr?count=1"))["body"] == 6
    await managing.kill()
    await cloud.scheduler()

    async def off():
        return (await cloud.call("GET", "macaddr?count=1"))["status"] == "FAIL"

    await until(off)


async def test_what_a_silent_node_may_still_have_is_remembered_beyond_its_record(cloud):
    one = MANAGED | {"mac_addr_range": "02:00:00:00:00:01-02:00:00:00:00:01"}
    scheduler = await cloud.scheduler(**one)
    agent = await cloud.agent("n3", max_vm_count=9)
    await cloud.ready(3)
    [vm] = await cloud.start(node_id="n3")
    await cloud.reaches([vm], "Started")
    await agent.kill()
    await cloud.reaches([vm], "Error")
    await cloud.call("DELETE", "vm", {"id": vm})
    await cloud.reaches([vm], "")
    await scheduler.kill()
    await cloud.scheduler(**one)
    [waiter] = await cloud.start(node_id="n2")
    await until(lambda: _wait_for_an_address(cloud, 1))
    assert list(cloud.live_vms()) == [vm]
    await cloud.agent("n3", max_vm_count=9)
    await cloud.reaches([waiter], "Started")
    assert list(cloud.live_vms()) == [waiter]


async def _so_many(cloud, count):
    return len(await started(cloud)) == count


async def _wait_for_an_address(cloud, count):
    listed = [item["vm"] for item in (await cloud.call("GET", "vm"))["body"]]
    reasons = [[r["filter"] for r in vm["reasons"]] for vm in listed if "reasons" in vm]
    return reasons == [["mac"]] * count


async def _told(cloud, count):
    log = [entry.event for entry in await cloud.events("ConfigChanged")]
    return log if len(log) == count else []
