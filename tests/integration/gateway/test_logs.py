"""The registry's logs through the gateway, over a real registry."""

import asyncio
import gzip
import io
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import psutil
import pytest
from aiohttp import web

from chassis.store.mongo import MongoStore
from chassis.web import WebServer
from tests.integration.gateway.cloud import Api, Cloud
from tests.registries import RunningRegistry, running_registry

VM = "0c1f4b1e-53a8-4c43-9df8-0f1a7c2f3b11"


@pytest.fixture
async def registry(own_store: MongoStore, tmp_path) -> AsyncIterator[RunningRegistry]:
    async with running_registry(own_store, tmp_path / "registry") as running:
        yield running


@pytest.fixture
async def through(cloud: Cloud, registry: RunningRegistry) -> Api:
    return await cloud.gateway(
        registry_address="http://public.example:8089", registry_local_address=registry.address
    )


async def say(registry, service, content):
    body = msgspec.json.encode({"service": service, "content": content})
    async with (
        aiohttp.ClientSession(registry.address) as session,
        session.post("/log", data=body) as response,
    ):
        assert response.status == 200


async def leave(registry, name, content):
    async with (
        aiohttp.ClientSession(registry.address) as session,
        session.put(f"/files/logs/{VM}/{name}", data=content) as response,
    ):
        assert response.status == 200


async def test_services_and_files_are_listed(through, registry):
    assert (await through("GET", "/api/v1/log")).body == []
    await say(registry, "Controller", "c")
    await say(registry, "mini-01---n 1", "n")
    body = (await through("GET", "/api/v1/log")).body
    assert [item["service"] for item in body] == ["Controller", "mini-01---n 1"]
    assert body[0]["files"][0]["name"] == "controller.log"
    (one,) = (await through("GET", "/api/v1/log?service=mini-01---n+1")).body
    assert one == body[1]
    assert (await through("GET", "/api/v1/log?service=nobody")).failure == "Not found"


async def test_a_file_a_range_and_a_tail(through, registry):
    for number in range(5):
        await say(registry, "Controller", f"line {number}")
    where = "/api/v1/log/file?service=Controller"
    whole = await through("GET", where + "&file=controller.log")
    assert whole.raw.endswith(b"line 3\nline 4\n")
    assert whole.headers["Content-Length"] == str(len(whole.raw))
    assert whole.headers["Content-Type"].startswith("text/plain")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Request-ID" in whole.headers
    part = await through("GET", where, headers={"Range": "bytes=-7"})
    assert (part.code, part.raw) == (206, b"line 4\n")
    assert (await through("GET", where + "&lines=2")).raw == b"line 3\nline 4\n"
    assert (await through("GET", where + "&lines=many")).failure == "lines must be a whole number"
    assert (await through("GET", where + "&file=../../x")).failure == "Not found"
    assert (await through("GET", "/api/v1/log/file")).code == 400
    assert (await through("HEAD", where)).raw == b""


async def test_a_stream_brings_new_lines_as_they_come(through, registry):
    await say(registry, "Event", "one")
    url = through.gateway.address + "/api/v1/log/stream?service=Event&lines=1"
    async with through.session.get(url) as response, asyncio.timeout(10):
        assert response.content_type == "text/event-stream"
        await response.content.readuntil(b"data: one\n\n")
        await say(registry, "Event", "two")
        await response.content.readuntil(b"data: two\n\n")


async def test_streams_end_when_the_gateway_stops(cloud, through, registry):
    await say(registry, "Event", "one")
    url = through.gateway.address + "/api/v1/log/stream?service=Event"
    response = await through.session.get(url)
    await response.content.readuntil(b"data: one\n\n")
    began = time.monotonic()
    await through.gateway.stop()
    assert time.monotonic() - began < 3
    response.close()


async def test_an_archive_passes_through(through, registry):
    await say(registry, "Controller", "c")
    answer = await through("GET", "/api/v1/log/archive?service=Controller")
    assert "logs.tar.gz" in answer.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(answer.raw))) as archive:
        assert archive.getnames() == ["Controller/controller.log"]


async def test_files_about_a_vm_are_listed_and_read(through, registry):
    assert (await through("GET", f"/api/v1/log/vm?id={VM}")).body == []
    await leave(registry, "console.log", b"panic")
    (file,) = (await through("GET", f"/api/v1/log/vm?id={VM}")).body
    assert (file["name"], file["size"]) == ("console.log", 5)
    assert (await through("GET", f"/api/v1/log/vm?id={VM}&name=console.log")).raw == b"panic"
    assert (await through("GET", f"/api/v1/log/vm?id={VM}&name=x.log")).failure == "Not found"
    for bad in ("id=../x", "id=..", f"id={VM}&name=../x", "id=a/b", "id="):
        assert (await through("GET", f"/api/v1/log/vm?{bad}")).code == 400, bad


async def test_an_unreachable_registry_is_said(cloud):
    api = await cloud.gateway()
    for path in ("log", "log/stream?service=x", "log/archive", f"log/vm?id={VM}"):
        failure = (await api("GET", f"/api/v1/{path}")).failure
        assert failure == "registry unreachable: no connection to it", path


async def test_nothing_is_buffered_and_a_reader_that_leaves_ends_the_call(cloud):
    gone = asyncio.Event()

    async def endless(request):
        response = web.StreamResponse(headers={"Content-Type": "application/gzip"})
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1 << 20))
        except ConnectionError:
            gone.set()
        return response

    async with served("/log/archive", endless) as address:
        api = await cloud.gateway(registry_address=address)
        async with api.session.get(api.gateway.address + "/api/v1/log/archive") as response:
            await response.content.readexactly(1 << 20)
            before = psutil.Process().memory_info().rss
            for _ in range(200):
                await response.content.readexactly(1 << 20)
            assert psutil.Process().memory_info().rss - before < 50 << 20
            response.close()
        await asyncio.wait_for(gone.wait(), 10)


async def test_an_answer_that_is_cut_off_at_the_registry_is_cut_off_here(cloud):
    async def half(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        request.transport.abort()
        return response

    async with served("/log/file", half) as address:
        api = await cloud.gateway(registry_address=address)
        with pytest.raises(aiohttp.ClientError):
            await api("GET", "/api/v1/log/file?service=x")


@asynccontextmanager
async def served(path, handler):
    """A registry that has this one path."""
    app = web.Application()
    app.router.add_get(path, handler)
    server = WebServer(app, "127.0.0.1", 0)
    await server.start()
    yield server.address
    await server.stop()
