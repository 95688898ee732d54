"""A registry is killed in the middle of an upload, and the client goes on with it."""

import asyncio
import hashlib
import os
import signal
import sys

from contracts.artifacts import digest_of
from corral.registry import RegistryClient
from tests.ports import free_port
from tests.servers import ROOT, fresh_store
from tests.waiting import until


class Process:
    """A registry in a process of its own, to be killed."""

    def __init__(self, base, store_arguments):
        self.port = free_port()
        self.base = base
        self._arguments = store_arguments
        self._process = None

    async def start(self):
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.registries", str(self.port), str(self.base), *self._arguments),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await until(self._listens, limit=30)

    async def kill(self):
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def _listens(self):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


async def test_kill_during_a_push_leaves_no_corrupt_blob_and_the_push_goes_on(mongod, tmp_path):
    store = fresh_store(mongod)
    process = Process(tmp_path / "registry", (mongod.url, store._database.name))
    content = tmp_path / "disk"
    content.write_bytes(os.urandom(48 << 20))
    digest = digest_of(content.read_bytes())
    await process.start()
    moved = 0
    kills = 0

    def note(count):
        nonlocal moved
        moved += count

    try:
        async with RegistryClient(
            f"http://127.0.0.1:{process.port}", tries=30, chunk=2 << 20
        ) as client:
            push = asyncio.create_task(client.push_blob("a", digest, content, note))
            for share in (0.2, 0.5, 0.8):
                await until(lambda share=share: moved > share * (48 << 20) or push.done())
                if not push.done():
                    await process.kill()
                    kills += 1
                    for file in (process.base / "blobs").rglob("*"):
                        assert not file.is_file() or is_whole(file)
                    await process.start()
            assert await push
            assert kills >= 1
            target = tmp_path / "pulled"
            await client.fetch("a", digest, target)
            assert target.read_bytes() == content.read_bytes()
    finally:
        await process.kill()
        await store.stop()


def is_whole(file):
    return hashlib.sha256(file.read_bytes()).hexdigest() == file.name
