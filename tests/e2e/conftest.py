"""Clouds of separate processes on the session's servers, each on a database of its own."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from chassis.servers import MongoServer, RabbitServer
from chassis.store.mongo import MongoStore
from tests.processes import Cloud, running_cloud
from tests.servers import fresh_vhost


class Clouds(Protocol):
    """Makes clouds without services."""

    def __call__(self, folder: Path) -> AbstractAsyncContextManager[Cloud]:
        """A cloud that ends with the block."""
        ...


@pytest.fixture(scope="session")
def clouds(mongod: MongoServer, rabbitmq: RabbitServer) -> Clouds:
    """Clouds of their own; the database's name is ``cloud.database``."""

    @asynccontextmanager
    async def make(folder: Path) -> AsyncIterator[Cloud]:
        database = f"e2e_{uuid.uuid4().hex[:12]}"
        vhost = await fresh_vhost(rabbitmq)
        async with running_cloud(folder, mongod.url, vhost, database) as cloud:
            yield cloud

    return make


@pytest.fixture
async def cloud(clouds: Clouds, tmp_path: Path) -> AsyncIterator[Cloud]:
    """A cloud of this test alone, without services yet."""
    async with clouds(tmp_path) as cloud:
        yield cloud


@pytest.fixture
async def cloud_store(cloud: Cloud, mongod: MongoServer) -> AsyncIterator[MongoStore]:
    """The database of ``cloud``, to look into."""
    store = MongoStore(mongod.url, cloud.database)
    yield store
    await store.stop()
