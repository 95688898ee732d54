"""An agent that keeps its state in a folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from node_agent.drivers.simulated import SimulatedDriver
from tests.agent_world import AgentWorld
from tests.caches import DISK
from tests.clock import ManualClock
from tests.oci_registry import FakeRegistry


@pytest.fixture
async def world(
    clock: ManualClock, memory_bus: MemoryBus, tmp_path: Path
) -> AsyncIterator[AgentWorld]:
    world = AgentWorld(clock, memory_bus, tmp_path)
    await world.listen()
    yield world
    await world.stop()


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    """A registry in memory, on loopback."""
    registry = FakeRegistry()
    await registry.start()
    yield registry
    registry.open.set()
    await registry.stop()


@pytest.fixture
def driver(clock: ManualClock) -> SimulatedDriver:
    return SimulatedDriver("n", clock, hardware=DISK)
