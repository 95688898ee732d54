"""Queues that are kept on a broker that has them otherwise, or refuses them."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest

from chassis.bus.amqp import AmqpBus
from chassis.bus.port import Queue
from chassis.clock import SystemClock
from chassis.servers import RabbitServer
from tests.contract.bus.worlds import Inbox, said
from tests.servers import fresh_vhost
from tests.waiting import until


@pytest.fixture
async def url(rabbitmq: RabbitServer) -> str:
    """A virtual host of this test alone."""
    return await fresh_vhost(rabbitmq)


@pytest.fixture
async def bus(url: str) -> AsyncIterator[AmqpBus]:
    """Not connected yet."""
    bus = AmqpBus(url, SystemClock())
    yield bus
    await bus.stop()


async def connect(bus: AmqpBus) -> None:
    await bus.start()
    await until(lambda: bus.connected)


async def limit_queues(rabbitmq: RabbitServer, url: str, most: int) -> None:
    """As an operator would; negative: no limit."""
    call = f"{rabbitmq.management_url}/vhost-limits{urlsplit(url).path}/max-queues"
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await session.put(call, json={"value": most})


@pytest.mark.parametrize("early", [True, False])
async def test_one_that_another_version_has_declared_otherwise_is_bound_all_the_same(
    bus: AmqpBus, url: str, name: str, early: bool
):
    other, inbox = AmqpBus(url, SystemClock()), Inbox()
    await connect(other)
    await other.consume(Queue(name=name, keys=(), delivery_limit=5), inbox.receive)
    queue = Queue(name=name, keys=(name,), delivery_limit=7)
    if early:
        await bus.keep(queue)
        await connect(bus)
    else:
        await connect(bus)
        await bus.keep(queue)
    assert await bus.publish([said(name)]) == []
    await inbox.holds(1)
    await other.stop()


async def test_one_that_cannot_be_made_keeps_everything_back_until_it_can(
    bus: AmqpBus, rabbitmq: RabbitServer, url: str, name: str
):
    await connect(bus)
    await limit_queues(rabbitmq, url, 0)
    await bus.keep(Queue(name=name, keys=(name,)))
    assert not bus.connected
    await limit_queues(rabbitmq, url, -1)
    await until(lambda: bus.connected)
    assert await bus.publish([said(name)]) == []


async def test_several_are_kept_whenever_they_were_wished(bus: AmqpBus, name: str):
    await bus.keep(Queue(name=f"{name}.1", keys=(f"{name}.1",)))
    await bus.start()
    for number in (1, 2, 3):
        await bus.keep(Queue(name=f"{name}.{number}", keys=(f"{name}.{number}",)))
    await until(lambda: bus.connected)
    assert await bus.publish([said(f"{name}.{number}") for number in (1, 2, 3)]) == []
