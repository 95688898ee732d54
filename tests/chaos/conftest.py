"""A cloud on the bus of this process, quick to kill and to restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from chassis.clock import SystemClock
from chassis.store.mongo import MongoStore
from tests.cloud import Cloud, running


@pytest.fixture
async def bare_cloud(own_store: MongoStore, tmp_path: Path) -> AsyncIterator[Cloud]:
    """A template, and no service yet."""
    bus = MemoryBus(SystemClock())
    await bus.start()
    async with running(bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        yield cloud
    await bus.stop()
