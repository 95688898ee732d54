"""Neighbours over real HTTP: asked first, never trusted, never waited for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from chassis.web import WebServer
from contracts.artifacts import digest_of
from node_agent import peers
from node_agent.drivers.port import HostFault, SourceDown
from node_agent.image_source import ImageSources
from node_agent.peer_server import PeerRoutes
from node_agent.peers import PeerSource
from tests.waiting import until

BLOB = bytes(range(256)) * (3 << 12)
DIGEST = digest_of(BLOB)
MANIFEST = b'{"schemaVersion":2}'
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Shelf:
    """What a neighbour has."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def blob(self, digest: str) -> Path | None:
        return self._file if digest == DIGEST else None

    def manifest(self, digest: str) -> bytes | None:
        return MANIFEST if digest == digest_of(MANIFEST) else None


class Town:
    """A registry that counts what it sends, neighbours, and an agent's source."""

    def __init__(self) -> None:
        self.neighbours: list[str] = []
        self.asked: list[tuple[list[str], str]] = []
        self.sent = 0
        self.down = False
        self.servers: list[WebServer] = []
        self.sources = ImageSources(partial(PeerSource, node_id="me"))
        self.registry = ""

    async def serve(self, *routes: tuple[str, Answer]) -> str:
        app = web.Application()
        for path, answer in routes:
            app.router.add_get(path, answer)
        return await self.listen(app)

    async def listen(self, app: web.Application) -> str:
        server = WebServer(app, "127.0.0.1", 0)
        self.servers.append(server)
        await server.start()
        return server.address

    async def neighbour(self, answer: Answer) -> None:
        self.neighbours.append(await self.serve(("/v2/{name}/blobs/{digest}", answer)))

    async def peers(self, request: web.Request) -> web.Response:
        self.asked.append((request.query.getall("digest"), request.query["node_id"]))
        return web.json_response({"body": [{"address": each} for each in self.neighbours]})

    async def blob(self, request: web.Request) -> web.Response:
        if self.down:
            raise web.HTTPServiceUnavailable
        start = request.http_range.start or 0
        self.sent += len(BLOB) - start
        return web.Response(status=206, body=BLOB[start:])

    async def manifest(self, _request: web.Request) -> web.Response:
        if self.down:
            raise web.HTTPServiceUnavailable
        return web.Response(body=MANIFEST)

    async def fetch(self, offset: int = 0) -> bytes:
        return await read(self.sources.at(self.registry), offset)


async def read(source, offset: int = 0) -> bytes:
    return b"".join([piece async for piece in source.blob("base", DIGEST, offset)])


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    town = Town()
    town.registry = await town.serve(
        ("/registry/peers", town.peers),
        ("/v2/{name}/blobs/{digest}", town.blob),
        ("/v2/{name}/manifests/{digest}", town.manifest),
    )
    yield town
    await town.sources.stop()
    for server in town.servers:
        await server.stop()


@pytest.fixture
async def honest(town: Town, tmp_path: Path) -> str:
    file = tmp_path / "blob"
    file.write_bytes(BLOB)
    return await town.listen(PeerRoutes([Shelf(file)]).app())


async def test_a_neighbour_spares_the_registry(town: Town, honest: str):
    town.neighbours = [honest]
    assert await town.fetch() == BLOB
    assert await town.fetch(12345) == BLOB[12345:]
    assert town.sent == 0
    assert town.asked == [([DIGEST], "me")] * 2


async def test_neighbours_are_asked_for_the_manifest_as_well_as_for_the_blob(town: Town):
    source = town.sources.at(town.registry)
    reference = digest_of(MANIFEST)
    assert await source.manifest("base", reference) == MANIFEST
    assert await read(source) == BLOB
    assert [set(digests) for digests, _ in town.asked] == [{DIGEST, reference}]


async def test_without_neighbours_it_comes_from_the_registry(town: Town):
    assert await town.fetch() == BLOB
    assert town.sent == len(BLOB)


async def test_a_registry_that_knows_no_neighbours_is_a_registry(town: Town):
    plain = await town.serve(("/v2/{name}/blobs/{digest}", town.blob))
    assert await read(town.sources.at(plain)) == BLOB


async def test_neighbours_that_are_gone_or_lost_it_are_passed_over(town: Town):
    async def lost(_request: web.Request) -> web.Response:
        raise web.HTTPNotFound

    town.neighbours = ["http://127.0.0.1:1"]
    await town.neighbour(lost)
    assert await town.fetch() == BLOB
    assert town.sent == len(BLOB)


async def test_where_a_neighbour_breaks_off_the_registry_goes_on(town: Town):
    async def breaking(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(len(BLOB))})
        await answer.prepare(request)
        await answer.write(BLOB[: 1 << 20])
        assert request.transport is not None
        request.transport.close()
        return answer

    await town.neighbour(breaking)
    assert await town.fetch() == BLOB
    assert town.sent == len(BLOB) - (1 << 20)


async def test_a_neighbour_that_hangs_is_given_up(town: Town, monkeypatch: pytest.MonkeyPatch):
    limits = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=0.2)
    monkeypatch.setattr(peers, "_TIMEOUT", limits)
    release = asyncio.Event()

    async def hanging(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(len(BLOB))})
        await answer.prepare(request)
        await release.wait()
        return answer

    await town.neighbour(hanging)
    assert await town.fetch() == BLOB
    release.set()
    assert town.sent == len(BLOB)


@pytest.mark.parametrize("limit", ["pace", "whole time"])
async def test_a_neighbour_that_trickles_is_given_up(
    town: Town, monkeypatch: pytest.MonkeyPatch, limit: str
):
    if limit == "pace":
        monkeypatch.setattr(peers, "_GRACE_SECONDS", 0.1)
    else:
        assert peers._TIMEOUT.total
        limits = aiohttp.ClientTimeout(total=0.1, sock_connect=3, sock_read=5)
        monkeypatch.setattr(peers, "_TIMEOUT", limits)

    async def trickling(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(len(BLOB))})
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            for position in range(1000):
                await answer.write(BLOB[position : position + 1])
                await asyncio.sleep(0.02)
        return answer

    await town.neighbour(trickling)
    assert await town.fetch() == BLOB
    assert town.sent < len(BLOB)


async def test_a_neighbour_sends_nobody_elsewhere(town: Town):
    followed: list[str] = []

    async def inside(request: web.Request) -> web.Response:
        followed.append(request.path)
        return web.Response(body=bytes(len(BLOB)))

    secret = await town.serve(("/secret", inside))

    async def sending(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{secret}/secret")

    await town.neighbour(sending)
    assert await town.fetch() == BLOB
    assert followed == []


async def test_a_manifest_without_end_is_not_read_to_it(town: Town):
    given_up = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            for _ in range(64):
                await answer.write(bytes(1 << 20))
        except ConnectionError:
            given_up.set()
        return answer

    evil = await town.serve(("/v2/{name}/manifests/{digest}", endless))
    town.neighbours, town.down = [evil], True
    with pytest.raises(HostFault, match="503"):
        await town.sources.at(town.registry).manifest("base", digest_of(MANIFEST))
    await until(given_up.is_set)


async def test_what_a_neighbour_gave_wrong_comes_from_the_registry_the_second_time(town: Town):
    async def lying(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(len(BLOB)))

    await town.neighbour(lying)
    source = town.sources.at(town.registry)
    assert await read(source) == bytes(len(BLOB))
    assert await read(source) == BLOB


async def test_a_manifest_comes_from_a_neighbour_when_the_registry_fails(town: Town, honest: str):
    town.neighbours, town.down = [honest], True
    source = town.sources.at(town.registry)
    assert await source.manifest("base", digest_of(MANIFEST)) == MANIFEST
    with pytest.raises(HostFault, match="503"):
        await source.manifest("base", "v1")
    town.neighbours = []
    with pytest.raises(SourceDown):
        await source.manifest("base", digest_of(MANIFEST))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"blobs/{DIGEST}", 200),
        (f"blobs/sha256:{'0' * 64}", 404),
        ("blobs/..%2F..%2Fetc%2Fpasswd", 404),
        (f"manifests/{digest_of(MANIFEST)}", 200),
        ("manifests/v1", 404),
    ],
)
async def test_a_node_gives_by_digest_only(town: Town, honest: str, path: str, status: int):
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{honest}/v2/any/name/{path}") as answer:
            assert answer.status == status
        async with http.put(f"{honest}/v2/any/name/{path}") as answer:
            assert answer.status in {404, 405}
        headers = {"Range": "bytes=10-19"}
        async with http.get(f"{honest}/v2/x/blobs/{DIGEST}", headers=headers) as answer:
            assert (answer.status, await answer.read()) == (206, BLOB[10:20])
