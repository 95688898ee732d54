"""One mongod and one RabbitMQ per session, started on demand."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chassis.bus.amqp import AmqpBus
from chassis.bus.memory import MemoryBus
from chassis.clock import SystemClock
from chassis.servers import MongoServer, RabbitServer
from chassis.store.mongo import MongoStore
from tests.clock import ManualClock
from tests.s3 import S3Server, s3_server
from tests.servers import fresh_store, fresh_vhost, mongo_server, rabbit_server
from tests.waiting import until


@pytest.fixture(scope="session")
async def mongod(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MongoServer]:
    """A mongod for the whole session; never stop it in a test, start your own for that."""
    server = mongo_server(tmp_path_factory.mktemp("mongod"))
    await server.start()
    yield server
    server.kill()


@pytest.fixture
async def own_mongod(tmp_path: Path) -> AsyncIterator[MongoServer]:
    """A mongod of this test alone, to stop and to kill."""
    server = mongo_server(tmp_path / "mongod")
    await server.start()
    yield server
    server.kill()


@pytest.fixture
async def own_rabbitmq(tmp_path: Path) -> AsyncIterator[RabbitServer]:
    """A RabbitMQ of this test alone, to stop and to kill."""
    server = rabbit_server(tmp_path / "rabbitmq")
    await server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
async def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RabbitServer]:
    """A RabbitMQ for the whole session; never stop it in a test, start your own for that."""
    server = rabbit_server(tmp_path_factory.mktemp("rabbitmq"), management=True)
    await server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server for the whole session; never stop it in a test."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
async def store(mongod: MongoServer) -> AsyncIterator[MongoStore]:
    """A store on a database of this test module."""
    store = fresh_store(mongod)
    yield store
    await store.stop()


@pytest.fixture
async def own_store(mongod: MongoServer) -> AsyncIterator[MongoStore]:
    """A store on a database of this test alone."""
    store = fresh_store(mongod)
    yield store
    await store.stop()


@pytest.fixture(scope="module")
async def rabbitmq_url(rabbitmq: RabbitServer) -> str:
    """A virtual host of this test module."""
    return await fresh_vhost(rabbitmq)


@pytest.fixture
async def amqp_bus(rabbitmq_url: str) -> AsyncIterator[AmqpBus]:
    """A connected bus on this module's virtual host."""
    bus = AmqpBus(rabbitmq_url, SystemClock())
    await bus.start()
    await until(lambda: bus.connected)
    yield bus
    await bus.stop()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until it is advanced."""
    return ManualClock()


@pytest.fixture
async def memory_bus(clock: ManualClock) -> AsyncIterator[MemoryBus]:
    """A started in-process bus on ``clock``."""
    bus = MemoryBus(clock)
    await bus.start()
    yield bus
    await bus.stop()


@pytest.fixture
async def system_bus() -> AsyncIterator[MemoryBus]:
    """A started in-process bus on the clock of the system."""
    bus = MemoryBus(SystemClock())
    await bus.start()
    yield bus
    await bus.stop()
