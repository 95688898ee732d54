import asyncio

import aiohttp
import pytest

from contracts.artifacts import digest_of
from tests.registries import running_registry
from tests.waiting import until


@pytest.fixture
async def limited(own_store, tmp_path):
    async with (
        running_registry(
            own_store,
            tmp_path,
            quota_bytes=1000,
            repository_quota_bytes=600,
            gc_interval=0.05,
            gc_grace=0.3,
        ) as registry,
        aiohttp.ClientSession(registry.address) as http,
    ):
        yield registry, http


async def push(http, repository, content):
    path = f"/v2/{repository}/blobs/uploads/?digest={digest_of(content)}"
    async with http.post(path, data=content) as response:
        return response.status, await response.text()


async def pieces(*every):
    for piece in every:
        yield piece


def left_overs(registry):
    return [*registry.blob_files(), *(registry.base / "uploads").iterdir()]


async def test_a_blob_over_the_repository_quota_is_denied_and_the_limit_named(limited):
    registry, http = limited
    status, text = await push(http, "a", bytes(601))
    assert status == 403
    assert '"DENIED"' in text
    assert "the repository's quota of 600 bytes would be exceeded: 600 bytes are left" in text
    assert left_overs(registry) == []
    assert (await push(http, "a", bytes(600)))[0] == 201
    assert (await push(http, "a", b"x"))[0] == 403


async def test_what_a_repository_has_already_costs_nothing_again(limited):
    _, http = limited
    for _ in range(2):
        assert (await push(http, "a", bytes(300)))[0] == 201


async def test_the_registry_quota_counts_a_shared_blob_once(limited):
    _, http = limited
    assert (await push(http, "a", bytes(500)))[0] == 201
    assert (await push(http, "b", bytes(500)))[0] == 201
    assert (await push(http, "c", b"1" * 500))[0] == 201
    status, text = await push(http, "d", b"2")
    assert status == 403
    assert "the registry's quota of 1000 bytes would be exceeded: 0 bytes are left" in text
    async with http.get("/registry/disk") as response:
        disk = (await response.json())["body"]
    assert (disk["free"], disk["total"]) == (0, 1000)


async def test_room_that_is_freed_may_be_used_again(limited):
    registry, http = limited
    for repository, content in (("a", b"1" * 500), ("b", b"2" * 500)):
        assert (await push(http, repository, content))[0] == 201
    assert (await push(http, "c", b"3" * 500))[0] == 403
    await until(lambda: not registry.blob_files())  # nothing refers to them
    assert (await push(http, "c", b"3" * 500))[0] == 201


async def test_a_stream_of_unknown_length_is_stopped_at_the_quota(limited):
    registry, http = limited
    async with http.post("/v2/a/blobs/uploads/") as response:
        where = response.headers["Location"]
    async with http.patch(where, data=pieces(bytes(500), bytes(500))) as response:
        assert response.status == 403
        assert "quota" in await response.text()
    assert left_overs(registry) == []
    async with http.get(where) as response:
        assert response.status == 404


async def test_a_mount_over_the_quota_is_denied(limited):
    _, http = limited
    blob, other = b"1" * 400, b"2" * 400
    assert (await push(http, "a", blob))[0] == 201
    assert (await push(http, "b", other))[0] == 201
    query = {"mount": digest_of(blob), "from": "a"}
    async with http.post("/v2/b/blobs/uploads/", params=query) as response:
        assert response.status == 403
    async with http.head(f"/v2/b/blobs/{digest_of(blob)}") as response:
        assert response.status == 404


async def test_uploads_that_end_at_once_do_not_exceed_the_registry_quota(limited):
    registry, http = limited
    blobs = [b"%d" % number * 400 for number in range(6)]
    outcomes = await asyncio.gather(
        *(push(http, f"r{number}", blob) for number, blob in enumerate(blobs))
    )
    assert [status for status, _ in outcomes].count(201) == 2
    assert sum(file.stat().st_size for file in registry.blob_files()) <= 1000


async def test_content_under_a_wrong_digest_costs_nothing(limited):
    _, http = limited
    path = f"/v2/a/blobs/uploads/?digest={digest_of(b'other')}"
    async with http.post(path, data=bytes(600)) as response:
        assert response.status == 400
    assert (await push(http, "b", b"1" * 500))[0] == 201
