"""One played cloud for the whole checklist."""

from collections.abc import AsyncIterator

import pytest

from chassis.servers import MongoServer
from tests.clients.stage import Stage
from tests.integration.gateway.cloud import Api, Cloud
from tests.integration.gateway.guarded import GROUPS_ON, KEYS_ON
from tests.integration.gateway.registry import FakeRegistry
from tests.servers import fresh_store


@pytest.fixture(scope="session")
async def stage(mongod: MongoServer) -> AsyncIterator[Stage]:
    """Four gateways on one database; a test asks only about what it has made itself."""
    store = fresh_store(mongod)
    cloud, registry = Cloud(store), FakeRegistry()
    await registry.start()
    await cloud.start()
    stage = Stage(cloud, registry)
    await stage.set()
    where = {"registry_address": registry.address, "registry_poll_seconds": 0.2}
    stage.api = await cloud.gateway(**where)
    stage.replica = await cloud.gateway(**where)
    stage.guarded = await cloud.gateway(**where, **KEYS_ON, login_rate=10_000.0)
    stage.limited = await cloud.gateway(**where, **GROUPS_ON, login_rate=10_000.0)
    yield stage
    await cloud.stop()
    await registry.stop()
    await store.stop()


@pytest.fixture(scope="session")
def api(stage: Stage) -> Api:
    """The gateway that asks nobody who they are."""
    return stage.api
