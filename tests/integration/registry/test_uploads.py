import asyncio
import io
import os
from collections.abc import AsyncIterator

import aiohttp
import pytest

from chassis.clock import SystemClock
from chassis.store.mongo import MongoStore
from contracts.artifacts import digest_of
from registry.blobs.disk import DiskBlobs
from registry.folder import Folder
from registry.uploads import Superseded, UnknownUpload, Uploads, WrongDigest
from tests.clock import ManualClock
from tests.registries import running_registry
from tests.registry_storage import Storage
from tests.servers import mongo_server
from tests.waiting import until


async def begin(http, repository="a"):
    async with http.post(f"/v2/{repository}/blobs/uploads/") as response:
        assert response.status == 202
        return response.headers["Location"]


async def offset(http, where):
    async with http.get(where) as response:
        assert response.status == 204
        return int(response.headers["Upload-Offset"])


async def pieces(*every: bytes) -> AsyncIterator[bytes]:
    for piece in every:
        yield piece


async def test_a_blob_in_chunks(http):
    content = os.urandom(2_500_000)
    where = await begin(http)
    for start in range(0, len(content), 1_000_000):
        chunk = content[start : start + 1_000_000]
        span = {"Content-Range": f"{start}-{start + len(chunk) - 1}"}
        async with http.patch(where, data=chunk, headers=span) as response:
            assert response.status == 202
            assert response.headers["Range"] == f"0-{start + len(chunk) - 1}"
            where = response.headers["Location"]
    async with http.put(f"{where}?digest={digest_of(content)}") as response:
        assert response.status == 201
    async with http.get(response.headers["Location"]) as response:
        assert await response.read() == content


async def test_a_stream_without_length_then_a_last_piece(http):
    where = await begin(http)
    async with http.patch(where, data=pieces(b"one ", b"two ")) as response:
        assert response.status == 202
    async with http.put(f"{where}?digest={digest_of(b'one two three')}", data=b"three") as response:
        assert response.status == 201


async def test_a_chunk_that_does_not_continue_is_refused_and_told_where_to(http):
    where = await begin(http)
    async with http.patch(where, data=b"12345", headers={"Content-Range": "0-4"}) as response:
        assert response.status == 202
    for span in ("0-4", "6-10"):
        async with http.patch(where, data=b"12345", headers={"Content-Range": span}) as response:
            assert (response.status, response.headers["Range"]) == (416, "0-4")
    assert await offset(http, where) == 5


async def test_a_chunk_whose_range_and_length_differ_is_refused(http):
    where = await begin(http)
    async with http.patch(where, data=b"12345", headers={"Content-Range": "0-9"}) as response:
        assert response.status == 400
    assert await offset(http, where) == 0


async def test_an_upload_belongs_to_its_repository(http):
    where = await begin(http, "one")
    async with http.get(where.replace("/one/", "/two/")) as response:
        assert response.status == 404


async def test_a_cancelled_upload_is_gone(http, registry):
    where = await begin(http)
    async with http.delete(where) as response:
        assert response.status == 204
    async with http.patch(where, data=b"x") as response:
        assert response.status == 404
    assert list((registry.base / "uploads").iterdir()) == []


async def cut_upload(registry, where, content, sent):
    """Send ``sent`` bytes of a PATCH that promised all, then drop the connection."""
    _, _, host, port = registry.address.replace("/", ":").rsplit(":", 3)
    _reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n"
        f"Content-Range: 0-{len(content) - 1}\r\n\r\n".encode()
    )
    writer.write(content[:sent])
    await writer.drain()
    return writer


async def test_what_came_before_a_cut_is_kept_and_continued(http, registry):
    content = os.urandom(3_000_000)
    where = await begin(http)
    writer = await cut_upload(registry, where, content, 1_700_001)
    await until(lambda: offset_at_least(http, where, 1_000_000))
    writer.transport.abort()
    await until(lambda: offset_at_least(http, where, 1_700_001))
    start = await offset(http, where)
    span = {"Content-Range": f"{start}-{len(content) - 1}"}
    async with http.patch(where, data=io.BytesIO(content[start:]), headers=span) as response:
        assert response.status == 202
    async with http.put(f"{where}?digest={digest_of(content)}") as response:
        assert response.status == 201


async def offset_at_least(http, where, least):
    return await offset(http, where) >= least


async def test_a_new_request_takes_over_an_upload_whose_client_hangs(http, registry):
    content = os.urandom(2_500_000)
    where = await begin(http)
    hanging = await cut_upload(registry, where, content, 1_200_000)
    await until(lambda: offset_at_least(http, where, 1_000_000))
    start = await offset(http, where)
    span = {"Content-Range": f"{start}-{len(content) - 1}"}
    async with http.patch(where, data=io.BytesIO(content[start:]), headers=span) as response:
        assert response.status == 202
    hanging.write(content[1_200_000:])
    await hanging.drain()
    async with http.put(f"{where}?digest={digest_of(content)}") as response:
        assert response.status == 201
    hanging.transport.abort()


async def test_the_earlier_of_two_writers_is_superseded(tmp_path):
    blobs = DiskBlobs(tmp_path)
    await blobs.start()
    uploads = Uploads(Folder(tmp_path), blobs, SystemClock(), 0, 60)
    await uploads.start()
    upload = await uploads.begin("a")
    gate = asyncio.Event()

    async def slow():
        yield bytes(2 << 20)
        await gate.wait()
        yield bytes(2 << 20)

    first = asyncio.create_task(uploads.append(upload, slow()))
    await until(lambda: upload.offset == 2 << 20)
    await uploads.append(upload, pieces(b"tail"), 2 << 20)
    gate.set()
    with pytest.raises(Superseded):
        await first
    await uploads.verify(upload, digest_of(bytes(2 << 20) + b"tail"))


async def test_content_under_a_wrong_digest_touches_no_blob(own_store, tmp_path):
    storage = Storage(own_store, DiskBlobs(tmp_path), tmp_path, ManualClock())
    await storage.start()
    digest = await storage.push_blob("a", b"right")
    before = await storage.holdings.blobs([digest])
    await storage.clock.advance(60)
    for claimed in (digest, digest_of(b"nowhere")):
        upload = await storage.uploads.begin("a")
        await storage.uploads.append(upload, pieces(b"wrong and longer"))
        with pytest.raises(WrongDigest):
            await storage.arrivals.finish(upload, claimed)
    assert await storage.holdings.blobs([digest, digest_of(b"nowhere")]) == before
    await storage.folder.stop()


async def test_a_whole_blob_in_one_request_that_is_cut_off_leaves_nothing(registry):
    host, _, port = registry.address.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    content = os.urandom(3_000_000)
    where = f"/v2/a/blobs/uploads/?digest={digest_of(content)}"
    writer.write(f"POST {where} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n".encode())
    writer.write(content[:1_500_000])
    await writer.drain()
    uploads = registry.base / "uploads"
    await until(lambda: [file for file in uploads.glob("*/data") if file.stat().st_size])
    writer.transport.abort()
    await until(lambda: not list(uploads.iterdir()))


async def test_an_upload_outlives_the_process(own_store, tmp_path):
    content = os.urandom(1_500_000)
    async with (
        running_registry(own_store, tmp_path) as registry,
        aiohttp.ClientSession(registry.address) as http,
    ):
        where = await begin(http)
        async with http.patch(where, data=content[:700_000]) as response:
            assert response.status == 202
    async with (
        running_registry(own_store, tmp_path) as registry,
        aiohttp.ClientSession(registry.address) as http,
    ):
        assert await offset(http, where) == 700_000
        put = http.put(f"{where}?digest={digest_of(content)}", data=io.BytesIO(content[700_000:]))
        async with put as response:
            assert response.status == 201


async def test_an_upload_that_nobody_continues_expires(tmp_path):
    clock = ManualClock(SystemClock().now())
    blobs = DiskBlobs(tmp_path)
    await blobs.start()
    uploads = Uploads(Folder(tmp_path), blobs, clock, 0, 3600)
    await uploads.start()
    upload = await uploads.begin("a")
    await uploads.expire()
    assert await uploads.get("a", upload.id) is upload
    await clock.advance(3700)
    await uploads.expire()
    with pytest.raises(UnknownUpload):
        await uploads.get("a", upload.id)


async def test_the_last_request_may_be_repeated(http, client):
    where = await begin(http)
    async with http.patch(where, data=b"12345") as response:
        assert response.status == 202
    for _ in range(2):
        async with http.put(f"{where}?digest={digest_of(b'12345')}") as response:
            assert response.status == 201
    async with http.put(f"{where}?digest={digest_of(b'other')}") as response:
        assert response.status == 404


async def test_a_push_waits_out_an_outage_of_the_database(tmp_path):
    mongod = mongo_server(tmp_path / "mongod")
    await mongod.start()
    store = MongoStore(mongod.url, "outage", timeout=1.0)
    content = os.urandom(3_000_000)
    try:
        async with (
            running_registry(store, tmp_path / "registry") as registry,
            aiohttp.ClientSession(registry.address) as http,
        ):
            where = await begin(http)
            async with http.patch(where, data=pieces(content)) as response:
                assert response.status == 202
            mongod.kill()
            async with http.put(f"{where}?digest={digest_of(content)}") as response:
                assert response.status == 503
                assert response.headers["Retry-After"]
            await mongod.start()
            async with http.put(f"{where}?digest={digest_of(content)}") as response:
                assert response.status == 201
            async with http.get(f"/v2/a/blobs/{digest_of(content)}") as response:
                assert await response.read() == content
    finally:
        mongod.kill()
        await store.stop()
