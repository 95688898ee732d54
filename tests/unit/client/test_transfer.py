"""The client against a registry that breaks off, lies and refuses: a small fake over real HTTP."""

import os
from collections import Counter

import pytest
from aiohttp import web

from chassis.web import WebServer
from contracts.artifacts import digest_of
from corral.registry import Corrupt, RegistryClient, RegistryDown, RegistryError

CONTENT = os.urandom(3_000_000)
DIGEST = digest_of(CONTENT)


class FlakyRegistry:
    """Serves one blob and takes uploads; connections end after ``cut`` bytes of a body."""

    def __init__(self):
        self.content = CONTENT
        self.cut = 0
        self.refusals = []
        self.lost_appends = 0
        self.ranges = []
        self.calls = Counter()
        self.received = bytearray()
        self.finished = b""
        self.exact = True
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/v2/a/blobs/{digest}", self.blob, allow_head=False)
        app.router.add_head("/v2/a/blobs/{digest}", self.head)
        app.router.add_post("/v2/a/blobs/uploads/", self.begin)
        app.router.add_patch("/uploads/1", self.append)
        app.router.add_get("/uploads/1", self.status)
        app.router.add_put("/uploads/1", self.finish)
        app.router.add_get("/v2/a/manifests/{reference}", self.manifest)
        self.server = WebServer(app, "127.0.0.1", 0)

    def refuse(self, call):
        self.calls[call] += 1
        if self.refusals:
            status = self.refusals.pop(0)
            error = {"errors": [{"code": "DENIED", "message": "not now"}]}
            return web.json_response(error, status=status)
        return None

    async def blob(self, request):
        if refused := self.refuse("get"):
            return refused
        self.ranges.append(request.headers.get("Range"))
        start = request.http_range.start or 0
        body = self.content[start:]
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: self.cut or None])
        if self.cut and self.cut < len(body):
            request.transport.close()
        return response

    async def head(self, request):
        self.calls["head"] += 1
        return web.Response(status=404)

    async def begin(self, request):
        if refused := self.refuse("begin"):
            return refused
        self.received.clear()
        return web.Response(status=202, headers={"Location": "/uploads/1?token=x"})

    async def append(self, request):
        if refused := self.refuse("append"):
            return refused
        if self.lost_appends:
            self.lost_appends -= 1
            return web.Response(status=404)
        assert request.query["token"] == "x"
        start = int(request.headers["Content-Range"].partition("-")[0])
        if start != len(self.received):
            return web.Response(status=416, headers=self.progress())
        taken = 0
        async for piece in request.content.iter_any():
            self.received += piece
            taken += len(piece)
            if self.cut and taken > self.cut:
                request.transport.abort()
                return web.Response(status=500)
        return web.Response(status=202, headers=self.progress())

    async def status(self, request):
        self.calls["status"] += 1
        return web.Response(status=204, headers=self.progress())

    async def finish(self, request):
        assert request.query["digest"] == digest_of(bytes(self.received))
        self.finished = bytes(self.received)
        return web.Response(status=201)

    async def manifest(self, request):
        return web.Response(body=b"other")

    def progress(self):
        count = len(self.received)
        exact = {"Upload-Offset": str(count)} if self.exact else {}
        return exact | {"Range": f"0-{max(count - 1, 0)}", "Location": "/uploads/1?token=x"}


@pytest.fixture
async def registry():
    flaky = FlakyRegistry()
    await flaky.server.start()
    yield flaky
    await flaky.server.stop()


@pytest.fixture
async def client(registry):
    async with RegistryClient(registry.server.address, tries=3, chunk=1_000_000) as client:
        yield client


async def test_a_download_goes_on_where_the_connection_broke(registry, client, tmp_path):
    registry.cut = 1_100_000
    moved = []
    await client.fetch("a", DIGEST, tmp_path / "blob", moved.append)
    assert (tmp_path / "blob").read_bytes() == CONTENT
    assert registry.ranges[0] is None
    assert len(registry.ranges) >= 3
    assert sum(moved) == len(CONTENT)


async def test_a_part_left_by_an_earlier_process_is_continued(registry, client, tmp_path):
    (tmp_path / "blob.part").write_bytes(CONTENT[:2_000_000])
    await client.fetch("a", DIGEST, tmp_path / "blob")
    assert registry.ranges == ["bytes=2000000-"]
    assert (tmp_path / "blob").read_bytes() == CONTENT
    assert not (tmp_path / "blob.part").exists()


async def test_content_that_is_not_its_digest_never_gets_the_name(registry, client, tmp_path):
    registry.content = b"x" + CONTENT[1:]
    with pytest.raises(Corrupt):
        await client.fetch("a", DIGEST, tmp_path / "blob")
    assert list(tmp_path.iterdir()) == []


async def test_a_manifest_that_is_not_its_digest_is_corrupt(client):
    with pytest.raises(Corrupt):
        await client.manifest("a", DIGEST)


async def test_what_is_unavailable_is_tried_again(registry, client, tmp_path):
    registry.refusals = [503, 429]
    await client.fetch("a", DIGEST, tmp_path / "blob")
    assert registry.calls["get"] == 3


async def test_patience_ends_with_a_clear_error(registry, client, tmp_path):
    registry.refusals = [503] * 10
    with pytest.raises(RegistryDown, match="not now"):
        await client.fetch("a", DIGEST, tmp_path / "blob")
    assert registry.calls["get"] == 3


async def test_a_refusal_is_not_tried_again(registry, client, tmp_path):
    registry.refusals = [403]
    with pytest.raises(RegistryError, match="not now") as caught:
        await client.fetch("a", DIGEST, tmp_path / "blob")
    assert (caught.value.status, caught.value.code) == (403, "DENIED")
    assert registry.calls["get"] == 1


async def test_a_registry_that_cannot_revert_is_no_version_that_is_gone(client):
    with pytest.raises(RegistryError) as caught:
        await client.revert("image", 4)
    assert caught.value.status == 404


async def test_nobody_listening_is_registry_down():
    async with RegistryClient("http://127.0.0.1:9", tries=2) as client:
        with pytest.raises(RegistryDown):
            await client.has_blob("a", DIGEST)


@pytest.mark.parametrize("exact", [True, False])
async def test_an_upload_goes_on_where_the_connection_broke(registry, client, tmp_path, exact):
    registry.exact = exact
    registry.cut = 700_000
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    moved = []
    assert await client.push_blob("a", DIGEST, source, moved.append)
    assert registry.finished == CONTENT
    assert registry.calls["status"] >= 2
    assert registry.calls["begin"] == 1


async def test_an_upload_that_the_registry_lost_begins_anew(registry, client):
    registry.lost_appends = 1
    await client.push_blob("a", DIGEST, CONTENT)
    assert registry.finished == CONTENT
    assert registry.calls["begin"] == 2


async def test_a_full_registry_is_told_and_not_pestered(registry, client):
    registry.refusals = [507]
    with pytest.raises(RegistryError) as caught:
        await client.push_blob("a", DIGEST, CONTENT)
    assert caught.value.status == 507
    assert registry.calls["begin"] == 1
