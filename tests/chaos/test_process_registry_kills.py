"""kill -9 of a registry, again and again, while users push, pull, delete and garbage is collected.

On disk and on S3 at once; after every few kills, and at the end, all that any manifest refers to
must be there with the right content, and every tag that was acknowledged.
"""

import asyncio
import os
import random
from pathlib import Path

import aiohttp
import pytest

from chassis.clock import SystemClock
from chassis.servers import MongoServer
from chassis.store.mongo import MongoStore
from contracts.artifacts import digest_of
from registry.blobs import Blobs
from registry.blobs.disk import DiskBlobs
from registry.blobs.s3 import S3Blobs, S3Place
from tests.processes import Cloud, running_cloud
from tests.registry_storage import Storage
from tests.registry_users import User, count, shared_layers
from tests.servers import fresh_vhost

pytestmark = pytest.mark.timeout(300)  # a busy machine needs more kills, and longer for each

KILLS = 27  # of each, at least
MOST_KILLS = 4 * KILLS
CALM = 60.0  # seconds in which users end what they have begun, once the registry is let alone
BETWEEN = (0.05, 0.7)  # seconds up
LOOKS = 3
REPOSITORIES = ["a", "b", "team/c"]
GARBAGE = {"gc_interval": 0.05, "gc_grace": 1.0, "scrub_interval": 1.0}


class Arena:
    """One registry that is killed, its users, and what lies underneath."""

    def __init__(self, cloud: Cloud, store: MongoStore, blobs: Blobs, seed: int) -> None:
        self.cloud = cloud
        self.storage = Storage(store, blobs, cloud.folder / "looking", SystemClock())
        self.kills = 0
        self._users: list[User] = []
        self._rng = random.Random(seed)
        self._layers = shared_layers(seed)

    async def run(self) -> list[User]:
        """Kill it while the users work, then let them finish; they are returned.

        AssertionError when the registry has done too little for them.
        """
        limits = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(self.cloud.registry_url, timeout=limits) as http:
            self._users = [User(http, name, REPOSITORIES, self._layers) for name in REPOSITORIES]
            await self.cloud.up("registry")
            try:
                done = await self._use()
            except TimeoutError:
                done = count(self._users)
                raise AssertionError(f"what users have begun does not end: {done}") from None
            assert enough(done), f"too little was done in {self.kills} kills: {done}"
            self.cloud.kill("registry")
            await self.look()
            return self._users

    async def _use(self) -> dict[str, int]:
        """What was done between the kills; then all that was acknowledged is pulled."""
        async with asyncio.timeout(None) as limit:
            async with asyncio.TaskGroup() as group:
                for user in self._users:
                    group.create_task(user.work(lambda: not self._is_over()))
                await self._kill()
                limit.reschedule(asyncio.get_running_loop().time() + CALM)
            done = count(self._users)
            for user in self._users:
                await user.insist(user.check)
        return done

    def _is_over(self) -> bool:
        """A busy machine gets less done between two kills: then there are more of them."""
        return self.kills >= (KILLS if enough(count(self._users)) else MOST_KILLS)

    async def look(self) -> None:
        """Every reference has its content, and all content is what its name says."""
        assert await self.storage.broken() == []
        async for batch in self.storage.blobs.stored():
            for digest, size in batch.items():
                assert digest_of(await self.storage.blobs.read(digest, size)) == digest

    async def _kill(self) -> None:
        while not self._is_over():
            await asyncio.sleep(self._rng.uniform(*BETWEEN))
            self.cloud.kill("registry")
            self.kills += 1
            if self.kills % (KILLS // LOOKS) == 0:
                await self.look()
            self.cloud.start("registry")
            if self.kills % 3:  # every third one is killed while it starts
                await self.cloud.up("registry")
        await self.cloud.up("registry")


def enough(done: dict[str, int]) -> bool:
    """Whether users got so much done that the kills have met everything."""
    return done["pushed"] > KILLS / 2 and all(done[key] for key in ("pulled", "deleted", "cut"))


async def arena(
    folder: Path, mongod: MongoServer, broker: str, place: S3Place | None
) -> list[User]:
    database = f"test_{os.urandom(6).hex()}"
    store = MongoStore(mongod.url, database)
    given = dict(GARBAGE)
    blobs: Blobs = DiskBlobs(folder / "registry" / "blobs")
    if place is not None:
        blobs = S3Blobs(place)
        given |= {"blob_backend": "s3", "s3_bucket": place.bucket, "s3_endpoint": place.endpoint}
        given |= {"s3_access_key": place.access_key_id, "s3_secret_key": place.secret_access_key}
    try:
        async with running_cloud(folder, mongod.url, broker, database) as cloud:
            cloud.registry(**given)
            running = Arena(cloud, store, blobs, len(folder.name))
            users = await running.run()
            said = {line["event"] for line in cloud.log_of("registry")}
            assert {"gc.blob_removed", "gc.manifests_dropped"} <= said
            assert not said & {"loop.failed", "registry.failed", "registry.blob_corrupt"}
            return users
    finally:
        await store.stop()


async def test_fifty_kills_break_nothing_that_was_acknowledged(mongod, rabbitmq, s3, tmp_path):
    async with asyncio.TaskGroup() as group:
        parties = [
            group.create_task(arena(tmp_path / kind, mongod, await fresh_vhost(rabbitmq), place))
            for kind, place in (("disk", None), ("s3", s3.fresh_bucket()))
        ]
    for party in parties:
        print(count(party.result()))
