"""What stays of files about failed VMs that were cut off, refused or left for long."""

from datetime import timedelta

import pytest

from chassis.clock import SystemClock
from chassis.errors import Refused
from registry.blobs import NoSpace
from registry.vm_files import TooLarge, VmFiles
from tests.clock import ManualClock

DAY = timedelta(days=1)


@pytest.fixture
def clock():
    return ManualClock(SystemClock().now())


@pytest.fixture
def make(tmp_path, clock):
    def made(*, keep=None, reserve=0, limit=1000):
        return VmFiles(tmp_path / "logs", clock, limit=limit, keep=keep, reserve=reserve)

    return made


async def pieces(*every):
    for piece in every:
        yield piece


def names(files, vm="vm"):
    return [file.name for file in files.list(vm)]


async def test_a_file_may_be_called_as_an_upload_was_once(make):
    files = make()
    await files.put("vm", "core.upload", pieces(b"x"))
    assert names(files) == ["core.upload"]
    await files.expire()
    assert names(files) == ["core.upload"]


async def test_an_upload_that_a_killed_process_left_goes_though_files_are_kept_for_ever(
    make, clock, tmp_path
):
    files = make()
    await files.put("vm", "console.log", pieces(b"x"))
    left = tmp_path / "logs/vm/.0123.upload"
    left.write_bytes(b"half")
    await files.expire()
    assert left.exists()  # it may be under way
    await clock.advance(2 * 3600)
    await files.expire()
    assert not left.exists()
    assert names(files) == ["console.log"]


async def test_what_is_left_of_uploads_counts_as_no_file(make, tmp_path):
    files = make()
    await files.put("vm", "console.log", pieces(b"x"))
    for number in range(40):
        (tmp_path / f"logs/vm/.{number}").touch()
    await files.put("vm", "agent.log", pieces(b"x"))
    assert names(files) == ["agent.log", "console.log"]


@pytest.mark.parametrize(
    ("given", "error"), [({"reserve": 1 << 62}, NoSpace), ({"limit": 3}, TooLarge)]
)
async def test_what_is_refused_leaves_no_folder(make, tmp_path, given, error):
    with pytest.raises(error):
        await make(**given).put("vm", "console.log", pieces(b"12", b"34"))
    assert list((tmp_path / "logs").iterdir()) == []


async def test_a_cut_keeps_the_file_that_was_there(make):
    files = make()
    await files.put("vm", "console.log", pieces(b"whole"))

    async def cut():
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await files.put("vm", "console.log", cut())
    assert files.find("vm", "console.log").read_bytes() == b"whole"


async def test_a_file_that_vanishes_keeps_no_other_from_being_listed_or_removed(
    make, clock, tmp_path
):
    """Another registry on the same disk removes them too."""
    files = make(keep=DAY)
    for name in ("a", "c"):
        await files.put("vm", name, pieces(b"x"))
    (tmp_path / "logs/vm/b").symlink_to("nowhere")
    assert names(files) == ["a", "c"]
    await clock.advance(2 * 86_400)
    await files.expire()
    assert names(files) == []


async def test_a_file_too_many_is_refused_and_one_in_place_of_another_is_not(make):
    files = make()
    for number in range(32):
        await files.put("vm", f"{number}", pieces(b"x"))
    with pytest.raises(Refused, match="no more than 32 files"):
        await files.put("vm", "more", pieces(b"x"))
    await files.put("vm", "0", pieces(b"new"))
    assert files.find("vm", "0").read_bytes() == b"new"
