"""Distributions while the bus is away."""

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from registry.distribution_store import DISTRIBUTIONS
from registry.store import NODES
from tests.distributions import Desk, Ear, a_distribution, a_node, a_registry
from tests.waiting import until


async def test_orders_that_the_bus_did_not_take_go_out_later(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path
):
    desk, ear = Desk(own_store, system_bus), Ear(system_bus)
    await own_store.insert(NODES, [a_node("n1")])
    async with a_registry(own_store, system_bus, str(tmp_path)):
        await ear.be("n1")
        system_bus.cut()
        await own_store.insert(DISTRIBUTIONS, [a_distribution()])

        async def ordered() -> bool:
            return any(pull.orders for pull in (await desk.show()).status.nodes.values())

        await until(ordered)
        assert ear.pulls() == []
        system_bus.heal()
        await until(ear.pulls)
    await ear.stop()
