"""A cloud of its own for each test."""

from collections.abc import AsyncIterator

import pytest

from chassis.store.mongo import MongoStore
from tests.integration.gateway.cloud import Api, Cloud


@pytest.fixture
async def cloud(own_store: MongoStore) -> AsyncIterator[Cloud]:
    """The bus and the database; the test plays the other services."""
    cloud = Cloud(own_store)
    await cloud.start()
    yield cloud
    await cloud.stop()


@pytest.fixture
async def api(cloud: Cloud) -> Api:
    """One gateway with one template and one node."""
    await cloud.add_template()
    await cloud.add_node()
    return await cloud.gateway()
