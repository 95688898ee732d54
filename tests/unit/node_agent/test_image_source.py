"""Manifests and blobs over HTTP, against a real server on loopback."""

import hashlib

import pytest
from aiohttp import web

from chassis.web import WebServer
from node_agent.drivers.port import HostFault
from node_agent.image_source import ImageSources

BLOB = bytes(range(256)) * 20000
MANIFEST = b'{"schemaVersion":2}'
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()


@pytest.fixture(params=[True, False], ids=["ranges", "no-ranges"])
def ranges(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
async def source(ranges: bool):
    async def manifest(request: web.Request) -> web.Response:
        if request.match_info["reference"] == "none":
            return web.Response(status=404)
        assert "application/vnd.oci.image.manifest.v1+json" in request.headers.getall("Accept")
        return web.Response(body=MANIFEST)

    async def blob(request: web.Request) -> web.Response:
        start = request.http_range.start or 0
        if not ranges or not start:
            return web.Response(body=BLOB)
        return web.Response(status=206, body=BLOB[start:])

    app = web.Application()
    app.router.add_get("/v2/my/base/manifests/{reference}", manifest)
    app.router.add_get("/v2/my/base/blobs/{digest}", blob)
    server, sources = WebServer(app, "127.0.0.1", 0), ImageSources()
    await server.start()
    await sources.start()
    yield sources.at(server.address + "/")
    await sources.stop()
    await server.stop()


async def test_a_manifest_by_tag_and_by_digest(source):
    assert await source.manifest("my/base", "v1") == MANIFEST
    assert await source.manifest("my/base", DIGEST) == MANIFEST


async def test_a_manifest_that_is_not_what_its_digest_says_is_a_fault(source):
    with pytest.raises(HostFault, match="not what its digest says"):
        await source.manifest("my/base", "sha256:" + "0" * 64)


async def test_a_missing_manifest_is_a_fault(source):
    with pytest.raises(HostFault, match="registry answered 404"):
        await source.manifest("my/base", "none")


@pytest.mark.parametrize("offset", [0, 1, 1 << 20, (1 << 20) + 17, len(BLOB) - 1])
async def test_a_blob_from_an_offset_with_or_without_ranges(source, offset: int):
    got = b"".join([chunk async for chunk in source.blob("my/base", "sha256:b", offset)])
    assert got == BLOB[offset:]


async def test_a_registry_that_does_not_answer_is_a_fault():
    sources = ImageSources()
    await sources.start()
    with pytest.raises(HostFault, match=r"127\.0\.0\.1:1"):
        await sources.at("http://127.0.0.1:1").manifest("my/base", "v1")
    with pytest.raises(HostFault):
        _ = [chunk async for chunk in sources.at("http://127.0.0.1:1").blob("b", "sha256:0")]
    await sources.stop()
