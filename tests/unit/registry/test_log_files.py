import asyncio
import os
import tarfile
import tracemalloc
from datetime import timedelta
from io import BytesIO
from itertools import chain

import pytest

from registry.logs.archive import tar_gz
from registry.logs.folder import LogFolder, Rotation
from registry.logs.follower import follow, tail
from registry.logs.writer import LogWriter
from registry.vm_files import VmFiles
from tests.clock import ManualClock
from tests.waiting import until

SERVICE = "Controller"


@pytest.fixture
def clock():
    return ManualClock()


def folder_of(tmp_path, clock, **rotation):
    return LogFolder(tmp_path, Rotation(**rotation), clock)


def content(folder):
    files = [folder.find(SERVICE, file.name).read_text() for file in folder.files(SERVICE)]
    for text in files:
        assert text.startswith("Log file created at: ")
    return [text.splitlines()[1:] for text in files]


def test_a_full_file_is_closed_before_it_is_too_large(tmp_path, clock):
    folder = folder_of(tmp_path, clock, max_bytes=110)
    for number in range(8):
        folder.append(SERVICE, b"%030d\n" % number)
    assert [len(lines) for lines in content(folder)] == [2, 2, 2, 2]
    assert [*chain(*content(folder))] == [f"{number:030}" for number in range(8)]
    assert folder.files(SERVICE)[-1].name == "controller.log"
    assert all(file.size <= 110 for file in folder.files(SERVICE))


def test_a_day_has_its_own_file_when_that_is_wished(tmp_path, clock):
    folder = folder_of(tmp_path, clock, daily=True)
    folder.append(SERVICE, b"today\n")
    folder.append(SERVICE, b"today\n")
    yesterday = clock.now().timestamp() - 86_400
    os.utime(folder.current(SERVICE), (yesterday, yesterday))
    folder.append(SERVICE, b"now\n")
    assert content(folder) == [["today", "today"], ["now"]]


def test_old_files_go_and_empty_folders_with_them(tmp_path, clock):
    folder = folder_of(tmp_path, clock, max_bytes=60, keep=timedelta(days=7))
    for number in range(3):
        folder.append(SERVICE, b"%030d\n" % number)
    folder.append("idle", b"x\n")
    for path, age in (
        (folder.find(SERVICE, folder.files(SERVICE)[0].name), 8),
        (folder.current("idle"), 9),
    ):
        then = clock.now().timestamp() - 86_400 * age
        os.utime(path, (then, then))
    now = clock.now().timestamp()
    for file in folder.files(SERVICE)[1:]:
        os.utime(folder.find(SERVICE, file.name), (now, now))
    assert folder.expire() == 2
    assert folder.services() == [SERVICE]
    assert len(folder.files(SERVICE)) == 2
    assert folder_of(tmp_path, clock, keep=None).expire() == 0


async def test_a_follower_loses_and_doubles_nothing_over_rotations(tmp_path, clock):
    folder = folder_of(tmp_path, clock, max_bytes=500)
    writer = LogWriter(folder)
    await writer.append(SERVICE, "before")
    found = []

    async def read():
        async for lines in follow(folder, writer, SERVICE, 1):
            found.extend(line for line in lines if not line.startswith(b"Log file"))
            if found[-1:] == [b"499"]:
                return

    reading = asyncio.create_task(read())
    await until(lambda: found)
    for number in range(500):
        await writer.append(SERVICE, str(number))
        if number % 7 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await reading
    assert found == [b"before", *(b"%d" % number for number in range(500))]
    assert len(folder.files(SERVICE)) > 2


async def test_a_follower_that_is_two_rotations_behind_reads_both_files(tmp_path, clock):
    folder = folder_of(tmp_path, clock, max_bytes=60)
    writer = LogWriter(folder)
    await writer.append(SERVICE, "0")
    reading = follow(folder, writer, SERVICE, 1)
    found = [*await anext(reading)]
    for number in range(1, 30):
        await writer.append(SERVICE, f"{number:015}")
    while len(found) < 30:
        found += [line for line in await anext(reading) if not line.startswith(b"Log file")]
    await reading.aclose()
    assert len(folder.files(SERVICE)) > 20
    assert [int(line) for line in found] == list(range(30))


@pytest.mark.parametrize("ends", [b"\n", b""])
def test_a_tail_is_whole_lines(tmp_path, ends):
    path = tmp_path / "x.log"
    path.write_bytes(b"\n".join(b"%d" % number for number in range(10)) + ends)
    assert tail(path, 3) == b"7\n8\n9" + ends
    assert tail(path, 10) == tail(path, 99) == path.read_bytes()
    assert tail(path, 0) == b""


def test_a_tail_of_very_long_lines_is_bounded(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"\n".join([b"x" * 60_000] * 100) + b"\n")
    last = tail(path, 90)
    assert len(last) <= 1 << 20
    assert set(last.splitlines()) == {b"x" * 60_000}


def test_an_archive_is_made_in_constant_memory(tmp_path):
    big = tmp_path / "big.log"
    with big.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    packed = sum(len(piece) for piece in tar_gz([("big.log", big)]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert packed > 0
    assert peak < 4 << 20


def test_a_file_that_grows_or_goes_does_not_break_an_archive(tmp_path):
    first, gone = tmp_path / "a.log", tmp_path / "b.log"
    first.write_bytes(b"x" * 300_000)
    pieces = tar_gz([("a.log", first), ("b.log", gone), ("c.log", first)])
    packed = next(pieces) + next(pieces)
    first.write_bytes(b"y" * 10)
    packed += b"".join(pieces)
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        assert archive.getnames() == ["a.log", "c.log"]
        assert archive.getmember("a.log").size == 300_000


async def test_files_about_vms_go_after_their_time(tmp_path, clock):
    files = VmFiles(tmp_path, clock, limit=100, keep=timedelta(days=7), reserve=0)

    async def body():
        yield b"x"

    await files.put("old", "console.log", body())
    await files.put("new", "console.log", body())
    for vm, age in (("old", 8), ("new", 6)):
        then = clock.now().timestamp() - 86_400 * age
        os.utime(files.find(vm, "console.log"), (then, then))
    await files.expire()
    assert (files.list("old"), len(files.list("new"))) == ([], 1)
    assert [folder.name for folder in tmp_path.iterdir()] == ["new"]
