"""The journal: durable in groups, readable after a kill, never growing for ever."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from contracts.vms import VmPhase
from node_agent.domain.record import Record
from node_agent.journal import BadJournal, Journal
from tests.clock import START, ManualClock, settle
from tests.waiting import until


def a_record(number: int = 1, **fields) -> Record:
    return Record(node_id="n", instance_id=f"i-{number}", attempt=1, **fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def opened(path: Path | None, clock: ManualClock) -> Journal:
    journal = Journal(path, clock)
    journal.open()
    return journal


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def told() -> tuple[float, float]:
    """Groups written, and the seconds that took, as the metrics say."""
    names = ("corral_agent_journal_groups_total", "corral_agent_journal_seconds_total")
    groups, seconds = (REGISTRY.get_sample_value(name) for name in names)
    assert groups is not None
    assert seconds is not None
    return groups, seconds


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def test_the_newest_record_of_an_instance_is_read_again(path: Path, clock: ManualClock):
    journal = opened(path, clock)
    await journal.record(a_record(1))
    await journal.record(a_record(1, vm_name="vm", epoch=4))
    await journal.record(a_record(2))
    journal.abandon()
    again = opened(path, clock)
    assert {r.instance_id: r.vm_name for r in again.by_node()["n"]} == {"i-1": "vm", "i-2": ""}
    again.abandon()


async def test_who_waits_at_the_same_moment_shares_an_fsync(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    journal = opened(path, clock)
    calls = []
    real, before = os.fdatasync, told()
    monkeypatch.setattr(os, "fdatasync", lambda file: (calls.append(file), real(file)))
    await asyncio.gather(*(journal.record(a_record(number)) for number in range(200)))
    assert len(calls) <= 2
    groups, seconds = (now - then for now, then in zip(told(), before, strict=True))
    assert groups == len(calls)
    assert seconds > 0
    await journal.close()


async def test_a_waiter_that_is_cancelled_takes_nobody_with_it(path: Path, clock: ManualClock):
    journal = opened(path, clock)
    first = asyncio.create_task(journal.record(a_record(1)))
    second = asyncio.create_task(journal.record(a_record(2)))
    await settle(1)
    first.cancel()
    await second
    await journal.close()


async def test_a_torn_last_line_is_dropped(path: Path, clock: ManualClock):
    journal = opened(path, clock)
    await journal.record(a_record(1))
    journal.abandon()
    append(path, b'{"node_id":"n","inst')
    again = opened(path, clock)
    assert [r.instance_id for r in again.by_node()["n"]] == ["i-1"]
    await again.record(a_record(2))
    again.abandon()
    third = opened(path, clock)
    assert len(third.records) == 2
    third.abandon()


async def test_a_damaged_line_in_the_middle_is_an_error(path: Path, clock: ManualClock):
    append(path, b'{"broken\n{"node_id":"n","instance_id":"i","attempt":1}\n')
    journal = Journal(path, clock)
    with pytest.raises(BadJournal, match="line 1"):
        journal.open()
    journal.abandon()


OPENING = """
import pathlib, sys
from chassis.clock import SystemClock
from node_agent.journal import BadJournal, Journal
try:
    Journal(pathlib.Path(sys.argv[1]), SystemClock()).open()
except BadJournal as error:
    sys.exit(str(error))
"""


def test_two_agents_cannot_use_one_journal(path: Path, clock: ManualClock):
    journal = opened(path, clock)
    other = [sys.executable, "-c", OPENING, str(path)]
    refused = subprocess.run(other, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (1, f"{path}: another agent uses it\n")
    journal.abandon()
    subprocess.run(other, check=True)


async def test_what_is_over_is_dropped_when_the_file_is_read(path: Path, clock: ManualClock):
    journal = opened(path, clock)
    dead = START + timedelta(minutes=5)
    await journal.record(a_record(1, phase=VmPhase.GONE, tombstone_until=dead))
    await journal.record(a_record(2))
    journal.abandon()
    await clock.advance(600)
    again = opened(path, clock)
    assert [r.instance_id for r in again.by_node()["n"]] == ["i-2"]
    assert lines(path) == 1
    again.abandon()


async def test_a_large_file_is_rewritten_while_it_is_used(path: Path, clock: ManualClock):
    journal = opened(path, clock)
    for number in range(300):
        journal.put(a_record(0, epoch=number))
        await asyncio.gather(*(journal.record(a_record(n, epoch=number)) for n in range(1, 20)))
    assert lines(path) < 4200
    await journal.close()
    again = opened(path, clock)
    assert {r.epoch for r in again.by_node()["n"]} == {299}
    assert len(again.records) == 20
    again.abandon()


async def test_while_the_disk_refuses_writers_wait_and_nothing_is_lost(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    journal = opened(path, clock)
    real = os.fdatasync
    full = True

    def fdatasync(file: int) -> None:
        if full:
            raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    waiting = asyncio.create_task(journal.record(a_record(1)))
    await until(lambda: clock.sleepers)
    assert not waiting.done()
    full = False
    await clock.advance(1)
    await asyncio.wait_for(waiting, 5)
    await journal.close()
    assert lines(path) == 1


async def test_without_a_path_nothing_is_written_and_nobody_waits(clock: ManualClock):
    journal = opened(None, clock)
    await journal.record(a_record(1))
    assert journal.by_node()["n"]
    await journal.close()


def test_the_journal_is_for_its_user_alone(path: Path, clock: ManualClock):
    opened(path, clock).abandon()
    assert path.stat().st_mode & 0o077 == 0
