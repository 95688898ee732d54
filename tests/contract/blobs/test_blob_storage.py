"""What every blob storage promises; see registry.blobs.Blobs."""

import asyncio
import os

import pytest

from contracts.artifacts import digest_of

ABSENT = "sha256:" + "0" * 64


async def store(blobs, tmp_path, content):
    file = tmp_path / os.urandom(4).hex()
    file.write_bytes(content)
    digest = digest_of(content)
    await blobs.adopt(file, digest)
    return digest


async def whole(blobs, digest):
    blob = await blobs.open(digest)
    try:
        return b"".join([piece async for piece in blob.pieces(0, blob.size)])
    finally:
        await blob.close()


async def listed(blobs):
    found = {}
    async for batch in blobs.stored():
        found |= batch
    return found


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (45 << 20) + 17])
async def test_what_was_adopted_comes_back(blobs, tmp_path, size):
    content = os.urandom(size)
    digest = await store(blobs, tmp_path, content)
    assert await blobs.size(digest) == size
    assert await whole(blobs, digest) == content


@pytest.mark.parametrize(("start", "count"), [(0, 1), (4_000_000, 3_000_000), (6_999_999, 1)])
async def test_any_range_is_read_exactly(blobs, tmp_path, start, count):
    content = os.urandom(7_000_000)
    blob = await blobs.open(await store(blobs, tmp_path, content))
    pieces = [piece async for piece in blob.pieces(start, count)]
    await blob.close()
    assert b"".join(pieces) == content[start : start + count]
    assert max(map(len, pieces)) <= 2 << 20


async def test_the_head_of_a_blob(blobs, tmp_path):
    digest = await store(blobs, tmp_path, b"head and tail")
    assert await blobs.read(digest, 4) == b"head"
    assert await blobs.read(digest, 4096) == b"head and tail"


async def test_what_is_not_there_is_said_so(blobs):
    assert await blobs.size(ABSENT) is None
    with pytest.raises(FileNotFoundError):
        await blobs.open(ABSENT)
    with pytest.raises(FileNotFoundError):
        await blobs.read(ABSENT, 10)
    await blobs.remove(ABSENT)
    await blobs.quarantine(ABSENT)


async def test_a_removed_blob_is_gone_and_may_come_again(blobs, tmp_path):
    digest = await store(blobs, tmp_path, b"content")
    await blobs.remove(digest)
    assert await blobs.size(digest) is None
    assert await listed(blobs) == {}
    assert await store(blobs, tmp_path, b"content") == digest
    assert await whole(blobs, digest) == b"content"


async def test_adopting_what_is_there_changes_nothing(blobs, tmp_path):
    digest = await store(blobs, tmp_path, b"content")
    await store(blobs, tmp_path, b"content")
    assert await listed(blobs) == {digest: 7}


async def test_every_blob_is_listed_with_its_size(blobs, tmp_path):
    sizes = {}
    for size in range(30):
        sizes[await store(blobs, tmp_path, os.urandom(size + 4))] = size + 4
    assert await listed(blobs) == sizes


async def test_what_is_in_quarantine_is_not_served_and_may_be_adopted_anew(blobs, tmp_path):
    digest = await store(blobs, tmp_path, b"content")
    await blobs.quarantine(digest)
    assert await blobs.size(digest) is None
    assert await listed(blobs) == {}
    await store(blobs, tmp_path, b"content")
    await blobs.quarantine(digest)
    await store(blobs, tmp_path, b"content")
    assert await whole(blobs, digest) == b"content"


async def test_many_read_one_blob_at_once(blobs, tmp_path):
    content = os.urandom(5_000_000)
    digest = await store(blobs, tmp_path, content)
    found = await asyncio.gather(*(whole(blobs, digest) for _ in range(8)))
    assert set(found) == {content}


async def test_the_disk_has_room(blobs):
    disk = await blobs.disk()
    assert 0 < disk.free <= disk.total
