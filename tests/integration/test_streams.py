"""Streamed answers, whatever service sends them."""

import asyncio
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from chassis.streams import EVENT_STREAM, Stream, Streams, from_thread
from chassis.web import WebServer
from tests.waiting import until


class Source:
    """Pieces to send; knows how many were taken and whether it was closed."""

    def __init__(self, piece=b"x", fails_at=None):
        self.piece = piece
        self.fails_at = fails_at
        self.made = 0
        self.closed = False

    async def pieces(self):
        try:
            while True:
                if self.made == self.fails_at:
                    raise ValueError("broken")
                self.made += 1
                yield self.piece
                await asyncio.sleep(0.001)
        finally:
            self.closed = True


@asynccontextmanager
async def serving(source, **given):
    streams, app = Streams(**given), web.Application()

    async def answer(request):
        return await streams.send(
            request, Stream(pieces=source.pieces(), content_type=EVENT_STREAM)
        )

    app.router.add_get("/", answer)
    streams.add_to(app)
    server = WebServer(app, "127.0.0.1", 0)
    await server.start()
    async with aiohttp.ClientSession(server.address) as session:
        yield server, session
        await server.stop()


async def test_a_client_that_takes_nothing_is_dropped():
    source = Source(bytes(1 << 20))
    async with serving(source, stalled_seconds=0.2) as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: source.closed)
        assert source.made < 40
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1 << 30)
        writer.close()


async def test_a_client_that_left_is_noticed_even_without_news():
    source = Source(b"")
    async with serving(source) as (_, session):
        async with session.get("/"):
            await until(lambda: source.made > 3)
        await until(lambda: source.closed)


async def test_a_failure_on_the_way_cuts_the_answer():
    source = Source(fails_at=3)
    async with serving(source) as (_, session), session.get("/") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert source.closed


async def test_streams_end_with_the_server():
    source = Source()
    async with serving(source) as (server, session), session.get("/") as response:
        await response.content.readexactly(1)
        began = time.monotonic()
        await server.stop()
        assert time.monotonic() - began < 2
        assert source.closed


async def test_a_head_request_makes_no_piece():
    source = Source()
    async with serving(source) as (_, session), session.head("/") as response:
        assert response.status == 200
    assert source.made == 0


async def test_blocking_pieces_are_made_only_as_they_are_taken():
    made, closed = [], []

    def pieces():
        try:
            for number in range(10):
                made.append(number)
                yield b"%d" % number
        finally:
            closed.append(True)

    stream = from_thread(pieces())
    assert [await anext(stream), await anext(stream)] == [b"0", b"1"]
    assert made == [0, 1]
    await stream.aclose()
    assert closed
    assert [piece async for piece in from_thread(pieces())][-1] == b"9"
