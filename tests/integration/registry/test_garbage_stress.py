"""Two registries on one bucket and database push, delete and collect under each other's hands."""

import asyncio
import random
import time

import pytest

from chassis.clock import SystemClock
from chassis.errors import Unavailable
from registry.admission import BlobsMissing
from registry.blobs.s3 import S3Blobs
from registry.catalog import ManifestUnknown
from tests.registry_storage import Storage

SECONDS = 6.0
LAYERS = [b"layer %d" % number for number in range(6)]
GRACE = 0.2  # about as long as a push takes, so that collections meet pushes all the time


@pytest.fixture
async def registries(own_store, tmp_path, s3):
    place = s3.fresh_bucket()
    registries = [
        Storage(own_store, S3Blobs(place), tmp_path / name, SystemClock(), grace=GRACE)
        for name in ("one", "two")
    ]
    for registry in registries:
        await registry.start()
    yield registries
    for registry in registries:
        await registry.folder.stop()


class Work:
    """What runs until the time is up."""

    def __init__(self):
        self.end = time.monotonic() + SECONDS
        self.pushed = 0
        self.refused = 0

    @property
    def goes_on(self):
        return time.monotonic() < self.end

    async def push(self, registry, seed):
        rng = random.Random(seed)
        while self.goes_on:
            repository, tag = rng.choice("ab"), rng.choice(["v1", "v2", ""])
            try:
                await registry.push(repository, tag, rng.sample(LAYERS, 2))
                self.pushed += 1
            except (BlobsMissing, Unavailable):
                self.refused += 1

    async def delete(self, registry, repository):
        while self.goes_on:
            for tag in ("v1", "v2"):
                try:
                    await registry.untag(repository, tag)
                except ManifestUnknown:
                    await asyncio.sleep(0.05)

    async def collect(self, registry):
        while self.goes_on:
            await registry.garbage.sweep()
            await asyncio.sleep(0.02)


async def test_no_manifest_ever_refers_to_what_was_collected(registries):
    one, two = registries
    work = Work()
    await asyncio.gather(
        *(work.push(registry, seed) for seed, registry in enumerate((one, two, one))),
        *(work.collect(registry) for registry in registries),
        work.delete(one, "a"),
        work.delete(two, "b"),
    )
    assert await one.broken() == []
    assert work.pushed > 5
    await asyncio.sleep(GRACE)
    await one.garbage.sweep()
    assert await one.broken() == []
