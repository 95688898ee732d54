import asyncio
import os

import msgspec
import pytest

from contracts.artifacts import digest_of
from tests.registries import push, qcow2

ABSENT = "sha256:" + "0" * 64


async def code_of(response):
    return msgspec.json.decode(await response.read())["errors"][0]["code"]


async def test_the_api_says_its_version(http):
    async with http.get("/v2/") as response:
        assert response.status == 200
        assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


async def test_a_blob_in_one_request_comes_back_with_its_digest(http):
    content = os.urandom(300_000)
    digest = digest_of(content)
    async with http.post(f"/v2/a/b/blobs/uploads/?digest={digest}", data=content) as response:
        assert response.status == 201
        where = response.headers["Location"]
    async with http.get(where) as response:
        assert await response.read() == content
        assert response.headers["Docker-Content-Digest"] == digest
        assert response.headers["ETag"] == f'"{digest}"'
        assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    async with http.head(where) as response:
        assert (response.status, response.content_length) == (200, len(content))


async def test_an_empty_blob_is_a_blob(http):
    digest = digest_of(b"")
    async with http.post("/v2/a/blobs/uploads/") as response:
        where = response.headers["Location"]
    async with http.put(f"{where}?digest={digest}") as response:
        assert response.status == 201
    async with http.get(f"/v2/a/blobs/{digest}") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_content_with_another_digest_is_refused_and_leaves_nothing(http, registry):
    claimed = digest_of(b"claimed")
    async with http.post(f"/v2/a/blobs/uploads/?digest={claimed}", data=b"other") as response:
        assert (response.status, await code_of(response)) == (400, "DIGEST_INVALID")
    async with http.head(f"/v2/a/blobs/{claimed}") as response:
        assert response.status == 404
    assert registry.blob_files() == []
    assert list((registry.base / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=1000-1999", 206, slice(1000, 2000)),
        ("bytes=99000-", 206, slice(99_000, None)),
        ("bytes=-10", 206, slice(-10, None)),
        ("bytes=0-9,20-29", 200, slice(None)),
    ],
)
async def test_a_range_is_served_exactly(http, client, asked, status, part):
    content = os.urandom(100_000)
    digest = digest_of(content)
    await client.push_blob("a", digest, content)
    async with http.get(f"/v2/a/blobs/{digest}", headers={"Range": asked}) as response:
        assert response.status == status
        assert await response.read() == content[part]


async def test_a_range_beyond_the_end_names_the_size(http, client):
    digest = digest_of(b"12345")
    await client.push_blob("a", digest, b"12345")
    async with http.get(f"/v2/a/blobs/{digest}", headers={"Range": "bytes=5-"}) as response:
        assert response.status == 416
        assert response.headers["Content-Range"] == "bytes */5"


async def test_a_known_blob_is_not_sent_again(http, client):
    digest = digest_of(b"12345")
    await client.push_blob("a", digest, b"12345")
    async with http.get(
        f"/v2/a/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'}
    ) as response:
        assert (response.status, await response.read()) == (304, b"")
    other = {"Range": "bytes=1-2", "If-Range": '"sha256:other"'}
    async with http.get(f"/v2/a/blobs/{digest}", headers=other) as response:
        assert (response.status, await response.read()) == (200, b"12345")


async def test_many_readers_of_one_large_blob_get_it_whole(http, client):
    content = os.urandom(24 << 20)
    digest = digest_of(content)
    await client.push_blob("a", digest, content)

    async def read(start):
        async with http.get(
            f"/v2/a/blobs/{digest}", headers={"Range": f"bytes={start}-"}
        ) as response:
            return digest_of(content[:start] + await response.read())

    starts = [0, 1, 4096, 1_000_001, 23 << 20, (24 << 20) - 1]
    assert set(await asyncio.gather(*map(read, starts))) == {digest}


async def test_a_blob_is_seen_only_through_a_repository_that_has_it(http, client):
    await client.push_blob("one", digest_of(b"x"), b"x")
    assert await client.has_blob("one", digest_of(b"x"))
    assert not await client.has_blob("other", digest_of(b"x"))


async def test_a_blob_is_mounted_from_another_repository(http, client):
    digest = digest_of(b"shared")
    await client.push_blob("one", digest, b"shared")
    query = {"mount": digest, "from": "one"}
    async with http.post("/v2/two/blobs/uploads/", params=query) as response:
        assert response.status == 201
    async with http.get(f"/v2/two/blobs/{digest}") as response:
        assert await response.read() == b"shared"


@pytest.mark.parametrize(
    "query", [{"mount": ABSENT, "from": "one"}, {"mount": ABSENT}, {"mount": "x", "from": "one"}]
)
async def test_a_mount_of_what_is_not_there_becomes_an_upload(http, query):
    async with http.post("/v2/two/blobs/uploads/", params=query) as response:
        assert response.status == 202
        assert "/uploads/" in response.headers["Location"]


async def test_a_blob_in_use_is_not_taken_away(http, client):
    layer = qcow2()
    await push(client, "a", "v1", [layer])
    async with http.delete(f"/v2/a/blobs/{digest_of(layer)}") as response:
        assert (response.status, await code_of(response)) == (405, "DENIED")
    await client.push_blob("a", digest_of(b"free"), b"free")
    async with http.delete(f"/v2/a/blobs/{digest_of(b'free')}") as response:
        assert response.status == 202
    assert not await client.has_blob("a", digest_of(b"free"))


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/v2/a/blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
        ("DELETE", f"/v2/a/blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/a/blobs/sha256:zz", 400, "DIGEST_INVALID"),
        ("GET", f"/v2/UPPER/blobs/{ABSENT}", 400, "NAME_INVALID"),
        ("GET", f"/v2/a//b/blobs/{ABSENT}", 400, "NAME_INVALID"),
        ("GET", "/v2/a/blobs/uploads/../../../etc", 404, "NAME_UNKNOWN"),
        ("GET", "/v2/a/blobs/uploads/nope", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PATCH", "/v2/a/blobs/uploads/..%2f..%2fblobs", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET", "/v2/a/manifests/nope", 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/a/tags/list", 404, "NAME_UNKNOWN"),
        ("POST", "/v2/a/blobs/uploads/?digest=md5:1", 400, "UNSUPPORTED"),
        ("PUT", "/v2/", 405, "UNSUPPORTED"),
    ],
)
async def test_errors_have_the_documented_body(http, method, path, status, code):
    async with http.request(method, path) as response:
        assert (response.status, await code_of(response)) == (status, code)
