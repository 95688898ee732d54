"""A cloud of processes that has whatever an example of the API page needs."""

from collections.abc import AsyncIterator

import pytest

from chassis.servers import MongoServer, RabbitServer
from tests.golden.cloud import golden_cloud
from tests.golden.examples import examples
from tests.golden.replay import Outcome, Replayer
from tests.servers import fresh_vhost


@pytest.fixture(scope="session")
async def replayer(
    mongod: MongoServer, rabbitmq: RabbitServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Replayer]:
    """Speaks to a cloud on the session's servers."""
    folder = tmp_path_factory.mktemp("golden")
    async with golden_cloud(folder, mongod.url, await fresh_vhost(rabbitmq)) as replayer:
        yield replayer


@pytest.fixture(scope="session")
async def outcomes(replayer: Replayer) -> dict[str, Outcome]:
    """Every example, replayed once, by its name."""
    return {outcome.example.name: outcome for outcome in await replayer.replay(examples())}
