"""The broker or the database goes away under load, and comes back: nothing accepted is lost."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.servers import MongoServer, RabbitServer
from chassis.store.mongo import MongoStore
from contracts.instances import InstanceDocument, InstanceState
from tests.event_log import LIFE, START, kinds_by_subject, read_log, without_holes
from tests.instances import documents
from tests.load import Load, load_on
from tests.processes import Cloud, running_cloud
from tests.simulated_hosts import doubles, live_vms
from tests.waiting import until

pytestmark = pytest.mark.timeout(240)

OUTAGE = 20.0
NODES = 20
ANSWER_LIMIT = 2.0
"""Seconds within which a gateway answers whatever else is down."""


@pytest.fixture
async def cloud(
    own_mongod: MongoServer, own_rabbitmq: RabbitServer, tmp_path: Path
) -> AsyncIterator[Cloud]:
    """Two gateways, two schedulers, twenty nodes; ended records stay to be looked at."""
    async with running_cloud(tmp_path, own_mongod.url, own_rabbitmq.url, "corral") as cloud:
        cloud.registry()
        for name in ("gateway1", "gateway2"):
            cloud.gateway(name)
        for name in ("scheduler1", "scheduler2"):
            cloud.scheduler(name, instance_time_out=600.0)
        for name in ("pusher1", "pusher2"):
            cloud.pusher(name)
        cloud.agent("n", nodes=NODES, max_vm_count=20, sim_clone=0.1, sim_start=0.3)
        await cloud.up()
        await cloud.push_template()
        await cloud.api.ready(NODES)
        yield cloud


@pytest.fixture
async def chaos_store(own_mongod: MongoServer) -> AsyncIterator[MongoStore]:
    """The database of the cloud."""
    store = MongoStore(own_mongod.url, "corral")
    yield store
    await store.stop()


async def settled(store: MongoStore, load: Load, limit: float) -> None:
    """Wait until what shall run runs, and what shall end has ended."""
    open_: dict[str, InstanceDocument] = {}

    async def all_settled() -> bool:
        found = await documents(store)
        assert set(load.accepted) <= set(found), "accepted and lost"
        open_.clear()
        for vm in load.staying:
            if found[vm].status.state is not InstanceState.STARTED:
                open_[vm] = found[vm]
        open_.update({vm: found[vm] for vm in load.ended if found[vm].status.ended is None})
        return not open_

    try:
        await until(all_settled, limit, every=0.2)
    except AssertionError as error:
        some = list(open_.values())[:3]
        raise AssertionError(f"{len(open_)} not settled in {limit} s: {some}") from error


async def nothing_else_runs(store: MongoStore, load: Load) -> bool:
    """Whether what runs was accepted: a start that was refused may be withdrawn a little later."""
    found = await documents(store)
    running = {i for i, d in found.items() if d.status.state is InstanceState.STARTED}
    return running - load.doubtful == set(load.staying)


async def assert_sound(cloud: Cloud, store: MongoStore, load: Load) -> None:
    """Every wish came true once, at the first try, and the log tells it all."""
    await until(lambda: nothing_else_runs(store, load), 30, every=0.2)
    found = await documents(store)
    running = {i for i, d in found.items() if d.status.state is InstanceState.STARTED}
    assert await live_vms(cloud.data("n")) == dict.fromkeys(running, 1)
    assert await doubles(cloud.data("n")) == {}
    assert {i: d.status.attempts for i, d in found.items() if len(d.status.attempts) > 1} == {}

    async def logged() -> bool:
        kinds = kinds_by_subject(await read_log(store))
        return all(kinds.get(vm, [])[-1:] == [START[-1]] for vm in running) and all(
            LIFE[-1] in kinds.get(vm, ()) for vm in load.ended if found[vm].status.attempt
        )

    await until(logged, 20, every=0.2)
    log = await read_log(store)
    assert without_holes(log)
    kinds = kinds_by_subject(log)
    for vm in running:
        assert kinds[vm] == list(START)
    for vm in load.ended:
        assert len(kinds[vm]) == len(set(kinds[vm])), kinds[vm]
        assert kinds[vm] == [kind for kind in LIFE if kind in kinds[vm]]
        assert {START[0], LIFE[2]} <= set(kinds[vm])


async def test_without_its_broker_the_cloud_accepts_everything_and_does_it_later(
    cloud: Cloud, own_rabbitmq: RabbitServer, chaos_store: MongoStore
) -> None:
    async with load_on(cloud.api, every=0.2, deletes=0.4) as load:
        await until(lambda: len(load.accepted) > 20)
        await own_rabbitmq.stop()
        load.slowest = 0.0
        over = time.monotonic() + OUTAGE
        while time.monotonic() < over:
            for here, there in ((0, 1), (1, 0)):
                [vm] = await cloud.api.start(gateway=here)
                load.accepted.append(vm)
                assert vm in await cloud.api.states(there)
            count = len(load.accepted)
            await until(lambda count=count: len(load.accepted) > count + 1)
        assert load.refused == 0
        assert load.slowest < ANSWER_LIMIT
        await own_rabbitmq.start()
        back = time.monotonic()
        count = len(load.accepted)
        await until(lambda: len(load.accepted) > count + 15)
    assert load.refused == 0
    await settled(chaos_store, load, 30)
    assert time.monotonic() - back < 20
    await assert_sound(cloud, chaos_store, load)


async def test_a_database_that_is_killed_loses_nothing_that_was_accepted(
    cloud: Cloud, own_mongod: MongoServer, chaos_store: MongoStore
) -> None:
    async with load_on(cloud.api, every=0.2, deletes=0.4) as load:
        for _ in range(2):
            count = len(load.accepted)
            await until(lambda count=count: len(load.accepted) > count + 20, 30)
            own_mongod.kill()
            refused = load.refused
            await until(lambda refused=refused: load.refused > refused + 9, 60)
            await own_mongod.start()
        back = time.monotonic()
        count = len(load.accepted)
        await until(lambda: len(load.accepted) > count + 15, 30)
    assert load.refused > 0
    await settled(chaos_store, load, 40)
    assert time.monotonic() - back < 30
    await assert_sound(cloud, chaos_store, load)
