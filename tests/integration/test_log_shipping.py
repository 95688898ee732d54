"""Log lines on their way to the registry's central logs."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web

from chassis import log_shipping, telemetry
from chassis.clock import SystemClock
from chassis.errors import Refused, Unavailable
from chassis.log_shipping import DROPPED, LogShipping, RegistryLog
from chassis.web import WebServer
from tests.clock import ManualClock, settle
from tests.ports import free_port
from tests.waiting import until


@pytest.fixture
def real_logs():
    """Logs as a process writes them; the other tests get theirs back."""
    before = structlog.get_config()
    telemetry.configure("test", "info")
    yield structlog.get_logger()
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


class Kept:
    """A destination that takes what it is told to take."""

    def __init__(self):
        self.batches = []
        self.error = None

    @property
    def lines(self):
        return "\n".join(self.batches).splitlines()

    async def send(self, content):
        if self.error is not None:
            raise self.error
        self.batches.append(content)

    async def close(self):
        pass


@asynccontextmanager
async def shipping_to(destination, clock=None, **given):
    shipping = LogShipping(destination, clock or SystemClock(), **given)
    await shipping.start()
    yield shipping
    await shipping.stop()


def dropped():
    return DROPPED._value.get()


async def test_the_lines_of_a_service_are_sent_in_order_and_those_of_others_are_not(real_logs):
    kept = Kept()
    with structlog.contextvars.bound_contextvars(service="mine"):
        async with shipping_to(kept):
            for number in range(50):
                real_logs.info("mine.said", number=number)
            thread = threading.Thread(target=lambda: real_logs.info("strange.said"))
            thread.start()
            thread.join()
            with structlog.contextvars.bound_contextvars(service="other"):
                real_logs.info("other.said")
    assert [f'"number":{number},' in line for number, line in enumerate(kept.lines)] == [True] * 50
    real_logs.info("mine.said")
    assert len(kept.lines) == 50


async def test_what_waits_goes_in_few_batches():
    clock, kept = ManualClock(), Kept()
    async with shipping_to(kept, clock, listens=False) as shipping:
        for number in range(3000):
            shipping.add(f"{number} " + "x" * 100)
        await clock.advance(1.0)
        assert len(kept.lines) == 3000
        assert len(kept.batches) == 2


async def test_what_waits_is_measured_in_bytes(monkeypatch):
    monkeypatch.setattr(log_shipping, "_MOST_BYTES", 1000)
    clock, kept = ManualClock(), Kept()
    before = dropped()
    async with shipping_to(kept, clock, listens=False) as shipping:
        for _ in range(4):
            shipping.add("\u00e9" * 200)
        assert dropped() - before == 2
        await clock.advance(1.0)
        assert kept.lines == ["\u00e9" * 200] * 2


async def test_while_the_registry_is_away_lines_wait_within_bounds_and_the_rest_is_counted(
    real_logs, monkeypatch
):
    monkeypatch.setattr(log_shipping, "_MOST_LINES", 100)
    clock, kept = ManualClock(), Kept()
    kept.error = Unavailable("away")
    before = dropped()
    async with shipping_to(kept, clock) as shipping:
        began = time.monotonic()
        for number in range(500):
            real_logs.info("said", number=number)
        assert time.monotonic() - began < 1
        assert dropped() - before == 400
        for _ in range(10):
            await clock.advance(30.0)
        assert len(shipping._batch()) == 100  # its own complaints are not among them
        kept.error = None
        await clock.advance(30.0)
        assert [f'"number":{n},' in line for n, line in enumerate(kept.lines)] == [True] * 100


async def test_what_the_registry_refuses_does_not_hold_up_the_rest():
    clock, kept = ManualClock(), Kept()
    before = dropped()
    async with shipping_to(kept, clock, listens=False) as shipping:
        kept.error = Refused("no")
        shipping.add("bad")
        await clock.advance(1.0)
        assert dropped() - before == 1
        kept.error = None
        shipping.add("good")
        await clock.advance(1.0)
        assert kept.lines == ["good"]


async def test_nothing_is_taken_while_it_is_turned_off(real_logs):
    kept = Kept()
    async with shipping_to(kept) as shipping:
        shipping.enabled = False
        real_logs.info("not.this")
        shipping.enabled = True
        real_logs.info("but.this")
    assert ["but.this" in line for line in kept.lines] == [True]


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "http://", "http://[", "ftp://x/y", "http://127.0.0.1:1", "http://\0"],
)
async def test_a_bad_address_stops_nobody(real_logs, address):
    shipping = LogShipping(RegistryLog(address, "Controller"), SystemClock())
    await shipping.start()
    began = time.monotonic()
    for _ in range(100):
        real_logs.info("said")
    await shipping._ship_all()
    await shipping.stop()
    assert time.monotonic() - began < 3
    assert len(shipping._lines) == 100


async def test_a_registry_that_hangs_delays_the_end_by_a_moment(real_logs):
    over = asyncio.Event()

    async def hang(_request):
        await over.wait()
        return web.Response()

    async with registry(hang) as address:
        shipping = LogShipping(RegistryLog(address, "Controller"), SystemClock())
        await shipping.start()
        real_logs.info("said")
        began = time.monotonic()
        await shipping.stop()
        assert time.monotonic() - began < 4
        over.set()


@pytest.mark.parametrize(("status", "error"), [(500, Unavailable), (404, Refused), (302, Refused)])
async def test_what_the_registry_answers_decides_whether_to_try_again(status, error):
    async def answer(_request):
        headers = {"Location": "/elsewhere"} if status == 302 else {}
        return web.Response(status=status, headers=headers)

    async with registry(answer) as address:
        log = RegistryLog(address + "/", "Controller")
        with pytest.raises(error):
            await log.send("x")
        await log.close()


@asynccontextmanager
async def registry(handler):
    app = web.Application()
    app.router.add_post("/log", handler)
    server = WebServer(app, "127.0.0.1", 0)
    await server.start()
    yield server.address
    await server.stop()


async def test_lines_wait_until_the_registry_is_up(real_logs):
    port, said = free_port(), []

    async def take(request):
        said.append((await request.json())["content"])
        return web.Response()

    clock = ManualClock()
    log = RegistryLog(f"http://127.0.0.1:{port}", "Controller")
    async with shipping_to(log, clock):
        real_logs.info("said")
        await clock.advance(1.0)
        await settle()
        app = web.Application()
        app.router.add_post("/log", take)
        server = WebServer(app, "127.0.0.1", port)
        await server.start()

        async def arrived():
            await clock.advance(30.0)
            return said

        await until(arrived)
        await server.stop()
    assert '"event":"said"' in said[0]
