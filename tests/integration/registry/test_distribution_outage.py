"""Distributions while the bus is away."""

from collections.abc import AsyncIterator

import pytest

from chassis.bus.memory import MemoryBus
from chassis.clock import SystemClock
from chassis.store.mongo import MongoStore
from registry.distribution_store import DISTRIBUTIONS
from registry.store import NODES
from tests.distributions import Desk, Ear, a_distribution, a_node, a_registry
from tests.waiting import until


@pytest.fixture
async def memory() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus(SystemClock())
    await bus.start()
    yield bus
    await bus.stop()


async def test_orders_that_the_bus_did_not_take_go_out_later(
    memory: MemoryBus, own_store: MongoStore, tmp_path
):
    desk, ear = Desk(own_store, memory), Ear(memory)
    await own_store.insert(NODES, [a_node("n1")])
    async with a_registry(own_store, memory, str(tmp_path)):
        await ear.be("n1")
        memory.cut()
        await own_store.insert(DISTRIBUTIONS, [a_distribution()])

        async def ordered() -> bool:
            return any(pull.orders for pull in (await desk.show()).status.nodes.values())

        await until(ordered)
        assert ear.pulls() == []
        memory.heal()
        await until(ear.pulls)
    await ear.stop()
