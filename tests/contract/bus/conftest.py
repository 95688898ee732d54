"""Every test of the suite runs in both worlds."""

import uuid
from collections.abc import AsyncIterator

import pytest

from tests.contract.bus.worlds import AmqpWorld, MakeWorld, MemoryWorld, World


@pytest.fixture(params=["memory", "amqp"])
def make_world(request: pytest.FixtureRequest) -> MakeWorld:
    if request.param == "memory":
        return MemoryWorld
    rabbitmq = request.getfixturevalue("rabbitmq")
    url = request.getfixturevalue("rabbitmq_url")
    return lambda: AmqpWorld(rabbitmq, url)


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    world = make_world()
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
def name() -> str:
    """A word that no other test uses, for queues and routing keys."""
    return f"q{uuid.uuid4().hex[:8]}"
