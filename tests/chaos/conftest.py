"""A cloud on the bus of this process, quick to kill and to restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from tests.cloud import Cloud, running


@pytest.fixture
async def bare_cloud(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[Cloud]:
    """A template, and no service yet."""
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        yield cloud
