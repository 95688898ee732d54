"""A cloud of its own for each test."""

from collections.abc import AsyncIterator

import pytest

from chassis.store.mongo import MongoStore
from contracts.instances import InstanceState
from tests.integration.gateway.cloud import NODE, Api, Cloud, running
from tests.integration.gateway.registry import FakeRegistry


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


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    """A registry that has nothing yet."""
    registry = FakeRegistry()
    await registry.start()
    yield registry
    await registry.stop()


@pytest.fixture
async def instance(api: Api, cloud: Cloud) -> str:
    """An instance that is Started."""
    (identity,) = await api.start()
    await cloud.move(
        identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running(uuid="vm-1")
    )
    return identity
