"""Both buses, one after the other, for tests of several services together."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.amqp import AmqpBus
from chassis.bus.memory import MemoryBus
from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.servers import RabbitServer
from chassis.store.mongo import MongoStore
from tests.cloud import Cloud, running
from tests.servers import fresh_vhost
from tests.waiting import until


@pytest.fixture(params=["memory", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> RabbitServer | None:
    """The broker, or None for the bus in this process."""
    if request.param == "memory":
        return None
    server: RabbitServer = request.getfixturevalue("rabbitmq")
    return server


@pytest.fixture
async def any_bus(broker: RabbitServer | None) -> AsyncIterator[Bus]:
    """A bus that nobody else uses."""
    bus: Bus = MemoryBus(SystemClock())
    if broker is not None:
        bus = AmqpBus(await fresh_vhost(broker), SystemClock())
    await bus.start()
    await until(lambda: bus.connected, 20)
    yield bus
    await bus.stop()


@pytest.fixture
async def cloud(any_bus: Bus, own_store: MongoStore, tmp_path: Path) -> AsyncIterator[Cloud]:
    """A gateway, a scheduler, an event-pusher and two nodes, with a template."""
    async with running(any_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        await cloud.scheduler()
        await cloud.pusher()
        await cloud.gateway()
        for name in ("n1", "n2"):
            await cloud.agent(name)
        await cloud.ready(2)
        yield cloud
