"""Any service is killed at any moment, again and again, while people ask for VMs."""

import asyncio
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.servers import MongoServer, RabbitServer
from chassis.store.mongo import MongoStore
from contracts.instances import InstanceState
from tests.event_log import LIFE, START, kinds_by_subject, read_log, without_holes
from tests.instances import documents
from tests.load import Load, load_on
from tests.processes import Cloud, running_cloud
from tests.servers import fresh_vhost
from tests.simulated_hosts import doubles, live_vms
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

KILLS = 18
EVERY = 3.0
RECOVERY = 10.0
"""Seconds after the last restart within which every wish has come true."""

AGENTS = ("a1", "a2")
NODES = 10
BRISK = {
    "lease_seconds": 3.0,
    "validity_seconds": 30.0,
    "skew_seconds": 2.0,
    "node_active_timeout": 30.0,
    "instance_time_out": 2.0,
    "heartbeat_seconds": 1.0,
    "sweep_seconds": 2.0,
}


@pytest.fixture
async def cloud(
    mongod: MongoServer, rabbitmq: RabbitServer, tmp_path: Path
) -> AsyncIterator[Cloud]:
    """Every service twice but the registry; two agents with ten nodes each."""
    vhost, database = await fresh_vhost(rabbitmq), f"kills_{uuid.uuid4().hex[:12]}"
    async with running_cloud(tmp_path, mongod.url, vhost, database) as cloud:
        cloud.registry()
        for number in (1, 2):
            cloud.gateway(f"gateway{number}")
            cloud.scheduler(f"scheduler{number}", **BRISK)
            cloud.pusher(f"pusher{number}", lease_seconds=3.0)
        for name in AGENTS:
            cloud.agent(
                name,
                nodes=NODES,
                max_vm_count=20,
                heartbeat=1.0,
                sim_pull=0.5,
                sim_clone=0.2,
                sim_start=0.4,
                sim_stop=0.1,
            )
        await cloud.up()
        await cloud.push_template()
        await cloud.api.ready(NODES * len(AGENTS))
        yield cloud


@pytest.fixture
async def chaos_store(cloud: Cloud, mongod: MongoServer) -> AsyncIterator[MongoStore]:
    """The database of the cloud."""
    store = MongoStore(mongod.url, cloud.database)
    yield store
    await store.stop()


async def kill_at_random(cloud: Cloud, seed: int) -> None:
    """Kill one service after the other, and start it again at once."""
    chance = random.Random(seed)
    for _ in range(KILLS):
        await asyncio.sleep(EVERY * chance.uniform(0.7, 1.3))
        victim = chance.choice(cloud.names)
        cloud.kill(victim)
        sys.stdout.write(f"killed {victim}\n")
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        cloud.start(victim)


async def unsettled(cloud: Cloud, store: MongoStore, load: Load) -> dict[str, str]:
    """What is not yet as everybody wished: a VM for each instance, and none for those that ended.

    A POST whose answer was lost may have made an instance; it counts like the others then.
    """
    found = await documents(store)
    live = await live_vms(*(cloud.data(name) for name in AGENTS))
    wrong = {vm: "lost" for vm in load.staying if vm not in found}
    for vm, document in found.items():
        if document.status.state is not InstanceState.STARTED or vm in load.ended:
            wrong[vm] = f"{document.status}"
        elif live[vm] != 1:
            wrong[vm] = f"{live[vm]} VMs"
    wrong.update({vm: "orphan" for vm in live if vm not in found})
    return wrong


async def settled(cloud: Cloud, store: MongoStore, load: Load, limit: float) -> None:
    wrong: dict[str, str] = {}

    async def all_is_as_wished() -> bool:
        wrong.clear()
        wrong.update(await unsettled(cloud, store, load))
        return not wrong

    try:
        await until(all_is_as_wished, limit, every=0.2)
    except AssertionError as error:
        some = dict(list(wrong.items())[:5])
        raise AssertionError(f"{len(wrong)} unsettled after {limit} s: {some}") from error


async def assert_events(store: MongoStore, load: Load) -> None:
    """Each step of each life once and in order, and no hole in the log."""
    running = await documents(store)

    async def complete() -> bool:
        kinds = kinds_by_subject(await read_log(store))
        return all(START[-1] in kinds.get(vm, ()) for vm in running) and all(
            LIFE[2] in kinds.get(vm, ()) for vm in load.ended
        )

    await until(complete, 10, every=0.2)
    log = await read_log(store)
    assert without_holes(log)
    assert len({entry.id for entry in log}) == len(log)
    kinds = kinds_by_subject(log)
    for vm in {*load.accepted, *running}:
        steps = [kind for kind in kinds[vm] if kind in LIFE]
        assert steps == [kind for kind in LIFE if kind in steps], (vm, kinds[vm])
        assert (LIFE[3] in steps) == (vm not in running and was_placed(kinds[vm])), (vm, kinds[vm])


def was_placed(kinds: list[str]) -> bool:
    """Started, or ended after an attempt: one that was never placed vanishes without an end."""
    return LIFE[1] in kinds or LIFE[3] in kinds


@pytest.mark.parametrize("seed", [1])
async def test_nothing_is_lost_doubled_orphaned_or_stuck(
    cloud: Cloud, chaos_store: MongoStore, seed: int
) -> None:
    async with load_on(cloud.api, every=0.15, deletes=0.5) as load:
        await kill_at_random(cloud, seed)
        cloud.start()
        await cloud.up()
        back = time.monotonic()
    assert len(load.accepted) > 150
    assert len(load.ended) > 50
    await settled(cloud, chaos_store, load, 45)
    took = time.monotonic() - back
    sys.stdout.write(
        f"{len(load.accepted)} accepted, {len(load.ended)} ended, {load.refused} refused,"
        f" all well after {took:.1f} s\n"
    )
    assert await doubles(*(cloud.data(name) for name in AGENTS)) == {}
    await assert_events(chaos_store, load)
    assert took < RECOVERY
