"""The whole push and pull path over S3, and registries that share a bucket and a database."""

import asyncio
import functools
import io
import os
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import psutil
import pytest

from contracts.artifacts import digest_of
from corral.registry import RegistryClient
from registry.blobs.s3 import S3Blobs
from tests.processes import running_cloud
from tests.registries import push, qcow2, qcow2_over, running_registry
from tests.waiting import until

NO_BROKER = "amqp://guest:guest@127.0.0.1:9/"


def settings(place):
    return {
        "blob_backend": "s3",
        "s3_bucket": place.bucket,
        "s3_endpoint": place.endpoint,
        "s3_access_key": place.access_key_id,
        "s3_secret_key": place.secret_access_key,
    }


@pytest.fixture
def place(s3):
    return s3.fresh_bucket()


@asynccontextmanager
async def on_s3(store, base, place, **given):
    async with (
        running_registry(store, base, **settings(place), **given) as registry,
        aiohttp.ClientSession(registry.address) as http,
        RegistryClient(registry.address, chunk=1 << 20) as client,
    ):
        yield registry, http, client


@pytest.fixture
async def running(own_store, tmp_path, place):
    async with on_s3(own_store, tmp_path / "one", place) as everything:
        yield everything


async def status(http, method, path):
    async with http.request(method, path) as response:
        await response.read()
        return response.status


async def begin(http):
    async with http.post("/v2/a/blobs/uploads/") as response:
        assert response.status == 202
        return response.headers["Location"]


async def test_a_template_is_pushed_listed_and_pulled(running, tmp_path):
    registry, http, client = running
    base = qcow2(3_000_000)
    layers = [base, qcow2_over(base)]
    await push(client, "a", "v1", layers)
    for layer in layers:
        target = tmp_path / digest_of(layer)
        await client.fetch("a", digest_of(layer), target)
        assert target.read_bytes() == layer
    async with http.get("/registry/v2/vm") as response:
        assert len((await response.json())["body"]) == 1
    assert registry.blob_files() == []  # nothing of it stays on the registry's disk
    assert list((registry.base / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=2000000-4500000", 206, slice(2_000_000, 4_500_001)),
        ("bytes=-10", 206, slice(-10, None)),
        ("", 200, slice(None)),
    ],
)
async def test_a_range_is_served_exactly(running, asked, status, part):
    _, http, client = running
    content = os.urandom(5_000_000)
    await client.push_blob("a", digest_of(content), content)
    headers = {"Range": asked} if asked else {}
    async with http.get(f"/v2/a/blobs/{digest_of(content)}", headers=headers) as response:
        assert response.status == status
        assert await response.read() == content[part]


async def test_a_wrong_digest_leaves_no_object(running, s3, place):
    _, http, _ = running
    claimed = digest_of(b"claimed")
    async with http.post(f"/v2/a/blobs/uploads/?digest={claimed}", data=b"other") as response:
        assert response.status == 400
    assert await status(http, "HEAD", f"/v2/a/blobs/{claimed}") == 404
    assert not [p for m, p in s3.requests if m == "PUT" and f"{place.bucket}/blobs" in p]


async def test_a_blob_is_mounted_deleted_and_stays_where_it_is_linked(running):
    _, http, client = running
    digest = digest_of(b"shared")
    await client.push_blob("a", digest, b"shared")
    query = {"mount": digest, "from": "a"}
    async with http.post("/v2/b/blobs/uploads/", params=query) as response:
        assert response.status == 201
    async with http.delete(f"/v2/a/blobs/{digest}") as response:
        assert response.status == 202
    assert await status(http, "GET", f"/v2/a/blobs/{digest}") == 404
    async with http.get(f"/v2/b/blobs/{digest}") as response:
        assert await response.read() == b"shared"


async def test_an_upload_outlives_the_process(own_store, tmp_path, place):
    content = os.urandom(1_500_000)
    async with on_s3(own_store, tmp_path, place) as (_, http, _):
        where = await begin(http)
        async with http.patch(where, data=content[:700_000]) as response:
            assert response.status == 202
    async with on_s3(own_store, tmp_path, place) as (_, http, _):
        put = http.put(f"{where}?digest={digest_of(content)}", data=io.BytesIO(content[700_000:]))
        async with put as response:
            assert response.status == 201
        async with http.get(f"/v2/a/blobs/{digest_of(content)}") as response:
            assert await response.read() == content


async def test_an_upload_belongs_to_the_registry_that_began_it(own_store, tmp_path, place, running):
    _, http, _ = running
    where = await begin(http)
    async with (
        on_s3(own_store, tmp_path / "two", place) as (_, other, _),
        other.patch(where, data=b"12345") as response,
    ):
        body = msgspec.json.decode(await response.read())
        assert response.status == 404
    assert body["errors"][0]["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert "begun at another registry" in body["errors"][0]["message"]
    async with http.patch(where, data=b"12345") as response:
        assert response.status == 202


async def test_what_one_registry_takes_another_serves(own_store, tmp_path, place, running):
    _, _, client = running
    layer = qcow2()
    await push(client, "a", "v1", [layer])
    async with on_s3(own_store, tmp_path / "two", place) as (_, http, other):
        assert await other.has_manifest("a", "v1")
        async with http.get(f"/v2/a/blobs/{digest_of(layer)}") as response:
            assert await response.read() == layer


async def test_garbage_goes_from_the_bucket(own_store, tmp_path, place):
    gc = {"gc_interval": 0.05, "gc_grace": 0.2}
    async with on_s3(own_store, tmp_path, place, **gc) as (_, http, client):
        layer = qcow2()
        digest = await push(client, "a", "v1", [layer])
        where = f"/v2/a/blobs/{digest_of(layer)}"
        assert await status(http, "GET", where) == 200
        assert await status(http, "DELETE", f"/v2/a/manifests/{digest}") == 202

        async def gone():
            async with http.get(where) as response:
                return response.status == 404

        await until(gone)
        await push(client, "a", "v1", [layer])
        assert await status(http, "GET", where) == 200


async def test_a_bucket_that_is_down_is_said_so_and_the_push_goes_on_later(
    own_store, tmp_path, place, s3, monkeypatch
):
    monkeypatch.setattr("registry.app.S3Blobs", functools.partial(S3Blobs, patience=0.2))
    content = os.urandom(100_000)
    async with on_s3(own_store, tmp_path, place) as (_, http, _):
        where = await begin(http)
        async with http.patch(where, data=content) as response:
            assert response.status == 202
        s3.broken = True
        try:
            async with http.put(f"{where}?digest={digest_of(content)}") as response:
                assert response.status == 503
                assert response.headers["Retry-After"]
        finally:
            s3.broken = False
        async with http.put(f"{where}?digest={digest_of(content)}") as response:
            assert response.status == 201
        async with http.get(f"/v2/a/blobs/{digest_of(content)}") as response:
            assert await response.read() == content


async def test_memory_does_not_grow_with_the_blob(mongod, place, tmp_path):
    """A push of 40 MiB and six readers at once, seen from outside of the registry."""
    content = os.urandom(40 << 20)
    digest = digest_of(content)
    async with running_cloud(
        tmp_path, mongod.url, NO_BROKER, f"test_{os.urandom(6).hex()}"
    ) as cloud:
        cloud.registry(**settings(place))
        await cloud.up()
        process = psutil.Process(cloud.pid("registry"))
        idle = process.memory_info().rss
        most = idle

        async def watch():
            nonlocal most
            while True:
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        async with (
            aiohttp.ClientSession(cloud.registry_url) as http,
            RegistryClient(cloud.registry_url) as client,
        ):
            await client.push_blob("a", digest, content)
            sizes = await asyncio.gather(*(read(http, digest) for _ in range(6)))
        watching.cancel()
    assert set(sizes) == {len(content)}
    assert (most - idle) >> 20 < 90


async def read(http, digest):
    async with http.get(f"/v2/a/blobs/{digest}") as response:
        return sum([len(piece) async for piece in response.content.iter_chunked(1 << 20)])
