"""What every test of the event-pusher starts from."""

from collections.abc import AsyncIterator

import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from tests.hooks import Hooks, hooks_on
from tests.receiver import Receiver


@pytest.fixture
def memory_bus(system_bus: MemoryBus) -> MemoryBus:
    """Time is real here."""
    return system_bus


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything until told otherwise."""
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    """A second receiver."""
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def hooks(memory_bus: MemoryBus, own_store: MongoStore) -> AsyncIterator[Hooks]:
    """A gateway and an event-pusher; two retries, quick ones."""
    async with hooks_on(memory_bus, own_store, retry_seconds=(0.05, 0.1)) as hooks:
        yield hooks
