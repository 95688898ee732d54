"""What every test of the event-pusher starts from."""

from collections.abc import AsyncIterator

import pytest

from chassis.bus.memory import MemoryBus
from chassis.clock import SystemClock
from tests.receiver import Receiver


@pytest.fixture
async def memory_bus() -> AsyncIterator[MemoryBus]:
    """A bus of this test alone."""
    bus = MemoryBus(SystemClock())
    await bus.start()
    yield bus
    await bus.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything until told otherwise."""
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()
