"""A registry, its client and a plain HTTP session, per test."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from chassis.store.mongo import MongoStore
from corral.registry import RegistryClient
from registry.blobs.disk import DiskBlobs
from tests.clock import ManualClock
from tests.registries import RunningRegistry, running_registry
from tests.registry_storage import Storage


@pytest.fixture
async def registry(own_store: MongoStore, tmp_path: Path) -> AsyncIterator[RunningRegistry]:
    async with running_registry(own_store, tmp_path / "registry") as running:
        yield running


@pytest.fixture
async def http(registry: RunningRegistry) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(registry.address) as session:
        yield session


@pytest.fixture
async def client(registry: RunningRegistry) -> AsyncIterator[RegistryClient]:
    async with RegistryClient(registry.address) as client:
        yield client


@pytest.fixture
async def storage(own_store: MongoStore, tmp_path: Path) -> AsyncIterator[Storage]:
    """The parts of a registry that keep blobs, on this disk, with a clock that stands still."""
    storage = Storage(own_store, DiskBlobs(tmp_path), tmp_path, ManualClock())
    await storage.start()
    yield storage
    await storage.folder.stop()


@pytest.fixture(scope="session")
def skopeo() -> str:
    """The program; `make test` installs it."""
    found = shutil.which("skopeo")
    assert found, "skopeo is missing; as root: apt-get install skopeo"
    return found


@pytest.fixture
async def http_to() -> AsyncIterator[Callable[[RunningRegistry], aiohttp.ClientSession]]:
    """Sessions with the registries that a test starts itself."""
    sessions: list[aiohttp.ClientSession] = []

    def open_session(registry: RunningRegistry) -> aiohttp.ClientSession:
        sessions.append(aiohttp.ClientSession(registry.address))
        return sessions[-1]

    yield open_session
    for session in sessions:
        await session.close()
