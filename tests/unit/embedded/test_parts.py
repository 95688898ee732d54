import asyncio
import os
import shutil
import socket
from pathlib import Path

import msgspec
import pytest

from chassis.errors import Refused
from contracts.identity import AccessChanged
from contracts.vms import RunVm, VmStarted
from embedded.config import EmbeddedSettings
from embedded.demo import _empty_disk
from embedded.drivers import QEMU, SIMULATED, choose
from embedded.hold import Hold, holder
from embedded.message_table import PLACE, heard, said
from embedded.ports import FreePorts


async def test_data_folder_has_one_holder(tmp_path: Path):
    hold = Hold(tmp_path, "http://gateway")
    await hold.start()
    found = holder(tmp_path)
    assert found is not None
    assert (found.pid, found.gateway) == (os.getpid(), "http://gateway")
    with pytest.raises(Refused, match=f"process {os.getpid()}"):
        await Hold(tmp_path, "http://other").start()
    await hold.stop()
    assert holder(tmp_path) is None


def test_file_of_a_dead_process_holds_nothing(tmp_path: Path):
    (tmp_path / "corral.pid").write_text('{"pid": 1, "gateway": "http://gone"}')
    assert holder(tmp_path) is None


async def test_taken_port_is_named_by_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = msgspec.structs.replace(EmbeddedSettings(), agent_metrics_port=port)
        with pytest.raises(Refused, match=f"CORRAL_AGENT_METRICS_PORT: port {port} of 127.0.0.1"):
            await FreePorts(settings).start()


def test_simulation_says_that_nothing_boots(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    choice = choose("")
    assert choice.driver == SIMULATED
    assert "nothing really boots: qemu-system-x86_64 and qemu-img not found" in choice.remark
    assert choose(QEMU).driver == QEMU


async def test_disk_for_simulated_vms_is_a_sound_image(tmp_path: Path):
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(_empty_disk(1 << 30))
    program = shutil.which("qemu-img")
    assert program is not None, "apt-get install qemu-utils"
    process = await asyncio.create_subprocess_exec(
        program, "check", disk, stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    assert process.returncode == 0, answer.decode()


def test_message_table_knows_both_ends():
    assert RunVm in said()["scheduler"]
    assert RunVm in heard()["node-agent"]
    assert VmStarted in said()["node-agent"]
    assert VmStarted in heard()["scheduler"]
    assert AccessChanged in heard()["gateway"]


def test_page_without_a_place_for_the_table_is_an_error():
    with pytest.raises(ValueError, match=PLACE.end):
        PLACE.renewed("# Architecture\n", "the table")
