"""The leader is killed at each named point of a save; nothing is begun twice, lost or stuck."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from contracts.images import ImageState
from tests.fates import Fate
from tests.saving import SavingCloud, saving_cloud
from tests.waiting import until

POINTS = (
    "store.transact:before",
    "store.transact:after",
    "publish:before",
    "publish:after",
    "ack:before",
    "ack:after",
)


@pytest.fixture
async def saving(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[SavingCloud]:
    """A template, and no service yet."""
    async with saving_cloud(system_bus, own_store, tmp_path) as saving:
        yield saving


@pytest.fixture
async def doomed(saving: SavingCloud) -> Fate:
    """Leads, and may be told when to die; another one stands by."""
    doomed = await saving.cloud.scheduler()
    await until(saving.cloud.leader_is_there)
    await saving.cloud.scheduler()
    await saving.ready()
    return doomed


async def dies(saving: SavingCloud, doomed: Fate, point: str) -> "asyncio.Task[None]":
    """It dies when it next passes the point; then the broker gives back what it held.

    Without heartbeats, that it passes the points for too.
    """
    saving.agent.silent = True
    doomed.point, doomed.nth = point, doomed.passed[point] + 1

    async def bury() -> None:
        await doomed.dead.wait()
        await doomed.kill()
        saving.agent.silent = False

    return asyncio.create_task(bury())


@pytest.mark.parametrize("point", POINTS)
async def test_a_leader_that_dies_when_a_save_begins_is_succeeded(saving, doomed, point):
    vm = await saving.started()
    buried = await dies(saving, doomed, point)
    request = await saving.save(vm, revert_before_push=True)
    await buried
    await saving.begun(request)
    await saving.agent.end_save(request, digest="sha256:new")
    await sound(saving, vm, request)


@pytest.mark.parametrize("point", POINTS)
async def test_a_leader_that_dies_when_a_save_ends_is_succeeded(saving, doomed, point):
    vm = await saving.started()
    request = await saving.save(vm, revert_before_push=True)
    await saving.begun(request)
    buried = await dies(saving, doomed, point)
    await saving.agent.end_save(request, digest="sha256:new")
    await buried
    await sound(saving, vm, request)


async def sound(saving, vm, request):
    """The save was begun once and is done; its instance is gone, its VM was stopped."""
    document = await saving.ended(request)
    assert document.status.state is ImageState.DONE
    await saving.cloud.reaches([vm], "", 20)
    assert saving.agent.begun == [request]
    assert {order.revert_number for order in saving.agent.pushes} == {1}
    assert {stop.instance_id for stop in saving.agent.stops} == {vm}
