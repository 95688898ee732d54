"""The registry whose conformance is tested: ours, or the one at OCI_REGISTRY.

Every MUST of OCI Distribution 1.1 for registries has a test here. Where the specification leaves a
choice, such as the status that goes with a code, ours is what is asserted.
"""

import os
from collections.abc import AsyncIterator

import aiohttp
import pytest

from chassis.servers import MongoServer
from tests.oci import Repository
from tests.registries import running_registry
from tests.servers import fresh_store


@pytest.fixture(scope="session")
async def registry_address(
    mongod: MongoServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """Base URL of a registry that may be written to, without credentials."""
    if named := os.environ.get("OCI_REGISTRY"):
        yield named
        return
    store = fresh_store(mongod)
    async with running_registry(store, tmp_path_factory.mktemp("registry")) as running:
        yield running.address
    await store.stop()


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
def repository(http: aiohttp.ClientSession, registry_address: str) -> Repository:
    """A repository that nobody has used."""
    return Repository(http, registry_address)
