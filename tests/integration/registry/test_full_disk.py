"""What a push meets when the disk is full, and what is left of it."""

import errno
import io
import os
import shutil
from pathlib import Path

import aiohttp
import msgspec
import pytest

from contracts.artifacts import digest_of
from corral.registry import RegistryClient, RegistryError
from tests.registries import push, qcow2, qcow2_over, running_registry
from tests.small_disk import SIZE, small_disk

BLIND = -(1 << 50)
"""A reserve that switches off the look at the free space before a write: the write itself fails."""


@pytest.fixture(params=["mounted", "injected"])
def disk(request, tmp_path, monkeypatch):
    if request.param == "injected":
        monkeypatch.setattr(os, "geteuid", lambda: 1)  # as where mounting is not possible
    with small_disk(tmp_path / "small", monkeypatch) as disk:
        yield disk


@pytest.fixture
async def registry(own_store, disk):
    async with running_registry(own_store, disk.folder / "registry", reserve=BLIND) as registry:
        yield registry


@pytest.fixture
async def http(registry):
    async with aiohttp.ClientSession(registry.address) as http:
        yield http


async def begin(http):
    async with http.post("/v2/a/blobs/uploads/") as response:
        assert response.status == 202
        return response.headers["Location"]


async def expect_full(response):
    body = msgspec.json.decode(await response.read())
    assert response.status == 507
    assert body["errors"][0]["message"] == "The registry's disk is full"


async def test_a_write_that_fails_is_said_so_and_what_was_there_is_untouched(
    http, client, registry, disk
):
    layer = qcow2(500_000)
    await push(client, "a", "v1", [layer])
    files = {file: file.read_bytes() for file in registry.blob_files()}
    where = await begin(http)
    async with http.patch(where, data=io.BytesIO(os.urandom(2 * SIZE))) as response:
        await expect_full(response)
    assert disk.refused > 0  # the system itself refused
    assert {file: file.read_bytes() for file in registry.blob_files()} == files
    async with http.get(where) as response:
        assert response.status == 404  # cleanly gone, and so is the space it took
    assert list((registry.base / "uploads").iterdir()) == []
    await push(client, "a", "v2", [layer, qcow2_over(layer, 500_000)])


async def test_an_upload_on_a_full_disk_begins_anew_when_there_is_space_again(http, registry, disk):
    content = os.urandom(1_500_000)
    where = await begin(http)
    disk.fill()
    async with http.patch(where, data=io.BytesIO(content)) as response:
        await expect_full(response)
    assert disk.refused > 0
    path = f"/v2/a/blobs/uploads/?digest={digest_of(content)}"
    async with http.post(path, data=io.BytesIO(content)) as response:
        await expect_full(response)
    assert registry.blob_files() == []
    disk.free()
    async with http.post(path, data=io.BytesIO(content)) as response:
        assert response.status == 201
    async with http.get(f"/v2/a/blobs/{digest_of(content)}") as response:
        assert await response.read() == content


async def test_an_upload_that_cannot_become_a_blob_waits_for_space(http, registry, monkeypatch):
    """Its content is there already: only the folder of the blob finds no room."""
    content = os.urandom(100_000)
    where = await begin(http)
    async with http.patch(where, data=content) as response:
        assert response.status == 202
    real = os.mkdir

    def full(path, *args, **kwargs):
        if "sha256" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, *args, **kwargs)

    with monkeypatch.context() as context:
        context.setattr(os, "mkdir", full)
        async with http.put(f"{where}?digest={digest_of(content)}") as response:
            await expect_full(response)
    assert registry.blob_files() == []
    async with http.put(f"{where}?digest={digest_of(content)}") as response:
        assert response.status == 201


async def test_an_upload_that_could_not_even_begin_leaves_nothing(http, registry, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(Path, "write_text", full)
        async with http.post("/v2/a/blobs/uploads/") as response:
            await expect_full(response)
    assert list((registry.base / "uploads").iterdir()) == []


async def test_abandoned_uploads_of_an_earlier_process_are_cleaned(own_store, tmp_path):
    async with (
        running_registry(own_store, tmp_path) as registry,
        aiohttp.ClientSession(registry.address) as http,
    ):
        where = await begin(http)
        async with http.patch(where, data=b"12345") as response:
            assert response.status == 202
    (folder,) = (tmp_path / "uploads").iterdir()
    for path in (folder, *folder.iterdir()):
        os.utime(path, (1, 1))
    async with running_registry(own_store, tmp_path):
        assert not folder.exists()


async def test_the_reserve_of_the_disk_is_not_used_up(own_store, tmp_path):
    reserve = shutil.disk_usage(tmp_path).total
    async with running_registry(own_store, tmp_path / "r", reserve=reserve) as registry:
        async with RegistryClient(registry.address) as client:
            with pytest.raises(RegistryError) as caught:
                await client.push_blob("a", digest_of(b"x"), b"x")
        assert caught.value.status == 507
