"""The edge of HTTP: whatever arrives, a clear answer or a closed connection, and life goes on."""

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from chassis.service import allow_connections
from tests.integration.gateway.cloud import TEMPLATE, Api, Cloud
from tests.integration.gateway.raw_http import Raw
from tests.waiting import until

PATH = "/api/v1/vm"
VALID = json.dumps({"vmid": TEMPLATE}).encode()

Connect = Callable[[Api], Awaitable[Raw]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens connections, and closes them after the test."""
    opened: list[Raw] = []

    async def connect(api: Api) -> Raw:
        opened.append(await Raw.open(api))
        return opened[-1]

    yield connect
    await asyncio.gather(*[raw.close() for raw in opened])


async def _is_well(api: Api) -> None:
    assert (await api("GET", "/api/v1/status")).body["status"] == "Running"


async def test_a_body_beyond_the_limit_is_413_and_the_next_connection_works(
    cloud: Cloud, connect: Connect
):
    api = await cloud.gateway(max_body=1000)
    head = f"POST {PATH} HTTP/1.1\nHost: x"
    for body in (b" " * 1001, b" " * 100_000):
        raw = await connect(api)
        answer, text = await raw.ask(head, body)
        assert answer.startswith("http/1.1 413")
        assert json.loads(text)["status"] == "FAIL"
        raw = await connect(api)
    answer, _ = await raw.ask(head, b" " * 1000)
    assert answer.startswith("http/1.1 400")


async def test_a_body_that_does_not_arrive_in_time_is_408(cloud: Cloud, connect: Connect):
    api = await cloud.gateway(body_seconds=0.2)
    raw = await connect(api)
    raw.send(f"POST {PATH} HTTP/1.1\nHost: x\nContent-Length: 10", b"{")
    answer, text = await asyncio.wait_for(raw.answer(), 5)
    assert answer.startswith("http/1.1 408")
    assert json.loads(text)["message"] == "body: it took too long to arrive"
    await _is_well(api)


async def test_a_head_that_drips_in_ends_with_its_connection(cloud: Cloud, connect: Connect):
    api = await cloud.gateway(keep_alive_seconds=0.5)
    raw = await connect(api)
    began = time.monotonic()
    raw.send_bytes(b"GET /api/v1/vm HTTP/1.1\r\nHost: x\r\n")

    async def closed() -> bool:
        raw.send_bytes(b"X: y\r\n")
        return raw.is_closed()

    await until(closed, 10, every=0.05)
    assert time.monotonic() - began < 5
    await _is_well(api)


async def test_a_silent_connection_is_closed_and_one_that_waits_for_an_answer_is_not(
    cloud: Cloud, connect: Connect
):
    await cloud.add_template()
    api = await cloud.gateway(keep_alive_seconds=0.3)
    (identity,) = await api.start()
    silent, waiting = await connect(api), await connect(api)
    waiting.send(f"GET {PATH}?id={identity}&wait=1 HTTP/1.1\nHost: x")
    await until(silent.is_closed, 5)
    answer, _ = await waiting.answer()
    assert answer.startswith("http/1.1 200")


async def test_who_does_not_take_a_long_answer_is_dropped(cloud: Cloud, connect: Connect):
    await cloud.add_template()
    api = await cloud.gateway(send_seconds=0.2)
    for _ in range(4):
        await api.start(count=10, name="x" * 500_000)
    whole = (await api("GET", PATH)).raw
    assert len(json.loads(whole)["body"]) == 40
    with capture_logs() as logs:
        raw = await connect(api)
        raw.send(f"GET {PATH} HTTP/1.1\nHost: x")
        await until(lambda: [line for line in logs if line["event"] == "stream.cut"])
    assert (await api("GET", PATH)).raw == whole


async def test_thousands_of_idle_connections_do_not_stand_in_the_way(api: Api, connect: Connect):
    allow_connections()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(5000, (soft - 1000) // 2)
    assert count >= 2000, f"no more than {soft} open files are allowed here"
    connections: list[Raw] = []
    for _ in range(0, count, 250):
        connections += await asyncio.gather(*[connect(api) for _ in range(250)])
    first, last = connections[0], connections[-1]
    for raw in (first, last):
        answer, _ = await raw.ask("GET /api/v1/status HTTP/1.1\nHost: x")
        assert answer.startswith("http/1.1 200")
    await _is_well(api)
    assert len(await api.start()) == 1


async def test_pipelined_requests_are_answered_in_order(api: Api, connect: Connect):
    raw = await connect(api)
    ids = [(await api.start())[0] for _ in range(3)]
    for identity in ids:
        raw.send(f"GET {PATH}?id={identity} HTTP/1.1\nHost: x")
    raw.send(f"POST {PATH} HTTP/1.1\nHost: x", VALID)
    raw.send("GET /nothing HTTP/1.1\nHost: x")
    for identity in ids:
        _, text = await raw.answer()
        assert json.loads(text)["body"]["instance_id"] == identity
    _, text = await raw.answer()
    assert len(json.loads(text)["body"]) == 1
    answer, _ = await raw.answer()
    assert answer.startswith("http/1.1 404")


async def test_a_body_on_get_is_not_looked_at(api: Api, connect: Connect):
    raw = await connect(api)
    for body in (b"hello", VALID, b"{" * 100):
        answer, text = await raw.ask(f"GET {PATH} HTTP/1.1\nHost: x", body)
        assert answer.startswith("http/1.1 200")
        assert json.loads(text)["body"] == []


async def test_chunked_bodies_and_expectations_are_understood(api: Api, connect: Connect):
    raw = await connect(api)
    head = f"POST {PATH} HTTP/1.1\nHost: x"
    chunks = b"5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (VALID[:5], len(VALID) - 5, VALID[5:])
    raw.send(f"{head}\nTransfer-Encoding: chunked")
    raw.send_bytes(chunks)
    answer, _ = await raw.answer()
    assert answer.startswith("http/1.1 200")
    raw.send(f"{head}\nExpect: 100-continue\nContent-Length: {len(VALID)}")
    assert await raw.line() == b"HTTP/1.1 100 Continue\r\n"
    assert await raw.line() == b"\r\n"
    raw.send_bytes(VALID)
    answer, _ = await raw.answer()
    assert answer.startswith("http/1.1 200")


TARGETS = [
    ("http://anything.example:99/api/v1/vm", 200),
    ("/api/v1/%76m", 200),
    ("/%61pi/v1/vm", 200),
    ("/api/v1/vm?", 200),
    ("/api/v1/vm?limit=1&&=&a", 200),
    ("/api/v1/vm?name=%ff%fe", 200),
    ("/api/v1/vm?name=%", 200),
    ("/api/v1/vm?name=%zz%00", 200),
    ("/api/v1/vm?id=%ff%fe", 200),
    ("/api/v1/vm?id=%00", 200),
    ("/api/v1/vm?id=" + "x" * 7000, 200),
    ("/api/v1/vm%ff", 404),
    ("/api/v1/vm%0a", 404),
    ("/api/v1/../v1/vm", 404),
    ("//api/v1/vm", 404),
    ("/api/v1/VM", 404),
    ("/api/v1/vm;x=1", 404),
]


async def test_targets_are_read_as_rfc_9112_says(api: Api, connect: Connect):
    for target, code in TARGETS:
        raw = await connect(api)
        answer, text = await raw.ask(f"GET {target} HTTP/1.1\nHost: x")
        assert answer.startswith(f"http/1.1 {code}")
        assert json.loads(text)["status"] in {"OK", "FAIL"}


NO_REQUEST = [
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n",
    b"GET /api/v1/vm HTTP/9.9\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /api/v1/vm?name=caf\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/vm HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
    b"GET /api/v1/vm HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    b"GET /api/v1/vm?id=" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/vm HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
    b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
]


async def test_what_is_no_request_is_400_and_its_connection_ends(
    api: Api, connect: Connect, capsys: pytest.CaptureFixture[str]
):
    for request_bytes in NO_REQUEST:
        raw = await connect(api)
        raw.send_bytes(request_bytes)
        answer = await asyncio.wait_for(raw.rest(), 5)
        assert answer.split(b"\r\n")[0].endswith(b"400 Bad Request"), request_bytes
        assert b"Traceback" not in answer
    await _is_well(api)
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err


async def test_a_client_that_leaves_in_the_middle_is_no_failure(api: Api):
    for piece in (
        b"POST /ap",
        b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ):
        raw = await Raw.open(api)
        raw.send_bytes(piece)
        await raw.close()
    raw = await Raw.open(api)
    raw.send(f"GET {PATH} HTTP/1.1\nHost: x")
    await raw.close()
    await _is_well(api)
    assert await api.listed() == {}
