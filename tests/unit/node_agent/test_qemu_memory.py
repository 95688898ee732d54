"""A guest's memory on its way to a file and back, against a monitor that the test plays."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from node_agent.drivers.port import HostFault, NoSpace
from node_agent.drivers.qemu import migration, qmp
from node_agent.drivers.qemu.blobs import BlobStore
from node_agent.drivers.qemu.folder import STATE, Kept, VmFolder
from node_agent.drivers.qemu.guest_agent import GuestAgent
from node_agent.drivers.qemu.launch import Host, Launch, Means
from tests.clock import ManualClock
from tests.vm_records import a_record

OFFER = migration.Offer(version="7.2.0", accelerator="tcg", cpu_model="max")
RECORD = msgspec.structs.replace(a_record(), ram_mb=1)
PART = f"{STATE}.part"


class PlayedMonitor:
    """Answers each command as it was told to; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.migration = "completed"
        self.status = "running"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._say(writer, {"QMP": {}})
        while line := await reader.readline():
            command = json.loads(line)
            self.asked.append(command["execute"])
            self._say(writer, {"return": self._answer(command["execute"]), "id": command["id"]})
        writer.close()

    def _answer(self, name: str) -> Any:
        answers = {
            "qom-get": "pc-q35-7.2-machine",
            "query-version": {"qemu": {"major": 7, "minor": 2, "micro": 0}},
            "query-status": {"status": self.status},
            "query-migrate": {"status": self.migration, "error-desc": "the disk broke"},
        }
        return answers.get(name, {})

    def _say(self, writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\n")


class PlayedGuest:
    """A guest that answers at once, and cannot be told anything."""

    async def greeted(self) -> str:
        return "10.0.2.15"

    async def wake_up(self, *_given: object) -> None:
        raise HostFault("the guest cannot set its clock and name")


@pytest.fixture
def folder(tmp_path: Path) -> VmFolder:
    folder = VmFolder(tmp_path, "vm")
    folder.save(RECORD)
    return folder


@pytest.fixture
async def monitor(folder: VmFolder) -> AsyncIterator[PlayedMonitor]:
    played = PlayedMonitor()
    server = await asyncio.start_unix_server(played.serve, folder.path / qmp.SOCKET)
    yield played
    server.close()


@pytest.fixture
def launch(folder: VmFolder, clock: ManualClock) -> Launch:
    host = Host(
        address="127.0.0.1",
        bind="127.0.0.1",
        port_range=range(10000, 10001),
        clock=clock,
        ready_seconds=60,
        stop_seconds=15,
    )
    means = Means(offer=OFFER, blobs=BlobStore(folder.path), taken=lambda: ())
    guest = cast("GuestAgent", PlayedGuest())
    return Launch(Kept(folder, RECORD), host, means, guest, lambda: False)


async def test_a_guest_is_not_halted_when_the_disk_may_not_hold_its_memory(
    folder: VmFolder, monitor: PlayedMonitor
):
    record = msgspec.structs.replace(RECORD, ram_mb=1 << 50)
    with pytest.raises(NoSpace, match=f"its memory has {1 << 50} MiB, the disk has"):
        await migration.save_state(folder.path, folder.state, record, OFFER)
    assert monitor.asked == []
    assert not (folder.path / PART).exists()


async def test_a_state_is_there_whole_or_not_at_all(folder: VmFolder, monitor: PlayedMonitor):
    monitor.migration = "failed"
    with pytest.raises(HostFault, match="suspending failed: the disk broke"):
        await migration.save_state(folder.path, folder.state, RECORD, OFFER)
    assert not (folder.path / PART).exists()
    assert not folder.state.exists()
    monitor.migration = "completed"
    saved = await migration.save_state(folder.path, folder.state, RECORD, OFFER)
    assert (saved.version, saved.machine) == ("7.2.0", "pc-q35-7.2")
    assert folder.state.exists()


async def test_what_a_killed_agent_has_written_of_a_state_goes_when_the_guest_goes_on(
    folder: VmFolder, monitor: PlayedMonitor, launch: Launch
):
    (folder.path / PART).write_bytes(b"half a state")
    monitor.status = "postmigrate"
    assert await launch.go_on(1) == "10.0.2.15"
    assert monitor.asked[-1] == "cont"
    assert not (folder.path / PART).exists()


async def test_a_guest_that_answers_runs_whatever_its_monitor_does(launch: Launch):
    assert await launch.go_on(1) == "10.0.2.15"
