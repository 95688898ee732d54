import asyncio
import contextlib
import gzip
import io
import tarfile
import time
from pathlib import Path

import aiohttp
import msgspec
import pytest

from registry.logs import writer as log_writer
from registry.logs.folder import LogFolder
from tests.registries import running_registry
from tests.waiting import until


async def say(http, service, content, **more):
    body = msgspec.json.encode({"service": service, "content": content} | more)
    async with http.post("/log", data=body) as response:
        answer = await response.json()
        return response.status, answer


async def get(http, path, **query):
    async with http.get(path, params=query) as response:
        return response.status, await response.read()


async def lines_of(http, service):
    _, raw = await get(http, "/log/file", service=service)
    return raw.decode().splitlines()[1:]


async def following(response, count):
    """The next ``count`` lines of an event stream."""
    found = []
    async with asyncio.timeout(10):
        while len(found) < count:
            line = (await response.content.readuntil(b"\n\n")).decode()
            if line.startswith("data: "):
                found.append(line.removeprefix("data: ").rstrip("\n"))
    return found


async def test_a_posted_line_is_in_the_file_when_it_is_answered(http, registry):
    fields = {"machine_name": "mini-01", "host": "10.0.0.7"}
    status, answer = await say(http, "mini-01---n1", "pulled base", **fields)
    assert (status, answer) == (200, {"status": "OK", "message": "", "body": None})
    file = registry.base / "files/central-logs/mini-01---n1/mini-01---n1.log"
    head, line = file.read_text().splitlines()
    assert head.startswith("Log file created at: 20")
    assert line == "pulled base"


@pytest.mark.parametrize(
    ("given", "service", "lines"),
    [
        ({"machine_name": "m", "content": "a"}, "m", ["a"]),
        ({"host": "h", "content": "a\r\nb\n"}, "h", ["a", "b"]),
        ({"service": 7, "content": {"k": [1, None]}}, "7", ['{"k":[1,null]}']),
        ({"service": "s", "content": ["x", 1]}, "s", ["x", "1"]),
        ({"service": "s"}, "s", [""]),
        ({"service": "ünï / ✓", "content": "\0ü"}, "ünï / ✓", ["ü"]),
    ],
)
async def test_fields_are_read_leniently(http, given, service, lines):
    body = msgspec.json.encode(given | {"unknown": True})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with http.post("/log", data=body, headers=headers) as response:
        assert response.status == 200
    assert await lines_of(http, service) == lines


async def test_a_line_for_nobody_is_refused(http):
    for body in (b"{}", b'{"content": "x"}', b"nonsense"):
        async with http.post("/log", data=body) as response:
            assert (response.status, (await response.json())["status"]) == (400, "FAIL")


async def test_a_stream_tells_the_last_lines_and_then_each_new_one(http):
    for number in range(5):
        await say(http, "Event", f"line {number}")
    async with http.get("/log?service=event&lines=2") as response:
        assert response.content_type == "text/event-stream"
        assert await following(response, 2) == ["line 3", "line 4"]
        await say(http, "event", "line 5\nline 6")
        assert await following(response, 2) == ["line 5", "line 6"]


async def test_a_stream_waits_for_the_first_line_of_a_log(http):
    async with http.get("/log?service=Event") as response:
        await say(http, "Event", "first")
        assert (await following(response, 2))[1] == "first"


async def test_registries_on_one_disk_stream_what_the_other_wrote(own_store, tmp_path, http_to):
    async with (
        running_registry(own_store, tmp_path) as one,
        running_registry(own_store, tmp_path) as two,
    ):
        here, there = http_to(one), http_to(two)
        await say(here, "Controller", "one")
        async with there.get("/log?service=Controller&lines=1") as response:
            assert await following(response, 1) == ["one"]
            await say(here, "Controller", "two")
            assert await following(response, 1) == ["two"]


async def test_a_reader_that_takes_nothing_delays_nobody(http, registry):
    await say(http, "Controller", "first")
    reader, stalled = await asyncio.open_connection(*_address(registry))
    try:
        stalled.write(b"GET /log?service=Controller HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"data: first")
        block = "\n".join(["x" * 1000] * 900)
        began = time.monotonic()
        for _ in range(20):  # far more than the buffers of a connection
            assert (await say(http, "Controller", block))[0] == 200
        assert (await say(http, "Controller", "last"))[0] == 200
        async with http.get("/log?service=Controller&lines=1") as response:
            assert await following(response, 1) == ["last"]
        assert time.monotonic() - began < 10
    finally:
        stalled.close()


def _address(registry):
    host, _, port = registry.address.removeprefix("http://").rpartition(":")
    return host, int(port)


async def test_streams_end_when_the_registry_stops(own_store, tmp_path, http_to):
    async with running_registry(own_store, tmp_path) as registry:
        http = http_to(registry)
        await say(http, "Event", "x")
        response = await http.get("/log?service=Event")
        await following(response, 1)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    with pytest.raises((aiohttp.ClientError, asyncio.IncompleteReadError)):
        await following(response, 1)
    response.close()


async def test_lines_that_wait_are_appended_together_and_in_order(http, monkeypatch):
    appended = []
    plain = LogFolder.append

    def count(self, service, lines):
        appended.append(service)
        plain(self, service, lines)

    monkeypatch.setattr(LogFolder, "append", count)
    senders = (_say_in_turn(http, sender) for sender in range(40))
    await asyncio.gather(*senders)
    found = await lines_of(http, "Controller")
    assert len(found) == 200
    for sender in range(40):
        mine = [line for line in found if line.startswith(f"{sender}:")]
        assert mine == [f"{sender}:{n}" for n in range(5)]
    assert len(appended) < 120


async def _say_in_turn(http, sender):
    for number in range(5):
        assert (await say(http, "Controller", f"{sender}:{number}"))[0] == 200


async def test_a_long_line_is_cut(http):
    await say(http, "Controller", "a" * 100_000 + "\nb")
    long, short = await lines_of(http, "Controller")
    assert len(long) == log_writer.LONGEST_LINE + len(" [cut]")
    assert long.endswith("a [cut]")
    assert short == "b"


@pytest.mark.parametrize("service", ["../../etc", "..", ".", "a/../../b", "/etc", "%2e%2e", "~"])
async def test_no_service_names_a_file_elsewhere(http, registry, service):
    assert (await say(http, service, "x"))[0] == 200
    below = registry.base / "files/central-logs"
    assert [file.parent.parent for file in registry.base.rglob("*.log")] == [below]
    assert await lines_of(http, service) == ["x"]
    _, raw = await get(http, "/log/files")
    assert msgspec.json.decode(raw)["body"][0]["service"] == service


async def test_a_service_name_that_is_none_is_refused(http):
    assert (await say(http, "x" * 500, "x"))[0] == 400
    assert (await get(http, "/log", service="x" * 500))[0] == 400


@pytest.mark.parametrize("name", ["../Event/event.log", "/etc/passwd", "..", ".", "nope.log"])
async def test_only_listed_files_are_downloaded(http, name):
    await say(http, "Controller", "x")
    await say(http, "Event", "x")
    status, raw = await get(http, "/log/file", service="Controller", file=name)
    assert (status, msgspec.json.decode(raw)["message"]) == (200, "Not found")


async def test_files_are_listed_downloaded_in_ranges_and_tailed(http):
    for number in range(10):
        await say(http, "Controller", f"line {number}")
    await say(http, "Event", "e")
    _, raw = await get(http, "/log/files")
    body = msgspec.json.decode(raw)["body"]
    assert [item["service"] for item in body] == ["Controller", "Event"]
    (file,) = body[0]["files"]
    assert file["name"] == "controller.log"
    _, whole = await get(http, "/log/file", service="Controller", file="controller.log")
    assert len(whole) == file["size"]
    where = "/log/file?service=Controller"
    async with http.get(where, headers={"Range": "bytes=-7"}) as response:
        assert (response.status, await response.read()) == (206, b"line 9\n")
        assert response.headers["Content-Disposition"].startswith("attachment")
    assert (await get(http, where + "&lines=2"))[1] == b"line 8\nline 9\n"
    assert (await get(http, where + "&lines=0"))[1] == b""
    assert (await get(http, where + "&lines=500"))[1] == whole
    assert (await get(http, where + "&lines=x"))[0] == 400
    _, raw = await get(http, "/log/files", service="nobody")
    assert msgspec.json.decode(raw)["message"] == "Not found"


async def test_an_archive_holds_every_file_of_a_service_or_of_all(http):
    await say(http, "Controller", "c" * 5000)
    await say(http, "mini/1---ü", "n")
    status, packed = await get(http, "/log/archive", service="Controller")
    assert status == 200
    assert list(_members(packed)) == ["Controller/controller.log"]
    _, packed = await get(http, "/log/archive")
    files = _members(packed)
    assert sorted(files) == ["Controller/controller.log", "mini%2F1---%C3%BC/mini%2f1---%c3%bc.log"]
    assert files["Controller/controller.log"].splitlines()[1] == b"c" * 5000
    _, raw = await get(http, "/log/archive", service="nobody")
    assert msgspec.json.decode(raw)["message"] == "Not found"


def _members(packed):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        return {item.name: archive.extractfile(item).read() for item in archive}


async def test_logs_leave_the_blobs_their_reserve(own_store, tmp_path, http_to):
    async with running_registry(own_store, tmp_path, reserve=1 << 60) as registry:
        status, answer = await say(http_to(registry), "Controller", "x")
        assert (status, answer["message"]) == (507, "The registry's disk is full")


async def test_a_stream_says_nothing_to_a_head_request(http):
    async with http.head("/log?service=Event") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")


async def test_a_reader_that_left_is_let_go(http, registry):
    await say(http, "Event", "x")
    async with http.get("/log?service=Event&lines=1") as response:
        await following(response, 1)
        assert _open_logs(registry) == 1
    await until(lambda: _open_logs(registry) == 0)


def _open_logs(registry):
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += descriptor.readlink().is_relative_to(registry.base / "files")
    return count
