import asyncio
import json
import re
import shlex
import shutil
import socket
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from contracts.vms import VmPhase
from embedded.hold import holder
from node_agent.domain.record import Record
from tests.all_in_one import AllInOne, all_in_one
from tests.api import Api
from tests.waiting import until


async def as_printed(cloud: AllInOne) -> dict[str, Any]:
    """Run the curl that the greeting shows, as it stands; the answer."""
    line = next(line for line in cloud.output.splitlines() if line.strip().startswith("curl"))
    process = await asyncio.create_subprocess_exec(
        *shlex.split(line), stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    return json.loads(answer)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that is used again: only its first start builds and pushes the demo guest."""
    return tmp_path_factory.mktemp("all-in-one") / "data"


async def watch(api: Api, instance: str, seen: list[dict[str, Any]]) -> None:
    """Keep every view of an instance that differs from the one before, until it is gone."""
    while view := await api.show(instance):
        if not seen or seen[-1] != view:
            seen.append(view)
        await asyncio.sleep(0.01)


async def greeting(instance: dict[str, Any]) -> str:
    """What answers at the forwarded port; "" when nobody does.

    Another cloud's guest may be there as soon as ours is gone.
    """
    [forwarded] = instance["vminfo"]["port_forwarding"]
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarded["host_port"])
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
    except OSError:
        return ""
    writer.close()
    found = re.search(r"Hello from [^<]+", answer.decode())
    return found[0] if found else ""


def living(cloud: AllInOne) -> list[Record]:
    """Instances of which the agent's journal says that they may have a VM."""
    lines = (cloud.data / "agent/journal").read_bytes().splitlines()
    newest = {r.instance_id: r for r in (msgspec.json.decode(line, type=Record) for line in lines)}
    return [record for record in newest.values() if record.phase is not VmPhase.GONE]


@pytest.mark.timeout(180)
async def test_first_vm_from_the_printed_curl_to_nothing_left(data: Path, tmp_path: Path):
    shutil.rmtree(data / "agent/qemu", ignore_errors=True)  # nothing is cached by another test
    async with all_in_one(
        data, terminal=tmp_path / "terminal", instance_time_out=2, heartbeat=1
    ) as cloud:
        api = Api([cloud.address])
        await cloud.start()

        [instance] = (await as_printed(cloud))["body"]
        seen: list[dict[str, Any]] = []
        watching = asyncio.create_task(watch(api, instance, seen))
        await api.reaches([instance], "Started", 60)
        started = await api.show(instance)

        assert started["startup_script"]["return_code"] == 0
        assert started["startup_script"]["stdout"].startswith("Linux ")
        assert {"uuid", "name", "ip", "host_ip", "node_id", "start_date"} <= set(started["vminfo"])
        assert started["vminfo"]["status"] == "running"
        assert started["vminfo"]["port_forwarding"][0]["guest_port"] == 80
        greeted = await greeting(started)
        assert greeted
        pulling = [view["progress"] for view in seen if view["instance_state"] == "Pulling"]
        assert pulling
        assert all(0 <= progress <= 1 for progress in pulling)
        watching.cancel()
        await asyncio.wait([watching])

        [qemu] = cloud.qemu()
        await cloud.stop()
        assert cloud.qemu() == [qemu]
        assert await greeting(started) == greeted
        await cloud.start()
        adopted = await api.show(instance)
        assert adopted["instance_state"] == "Started"
        assert _same(adopted["vminfo"]) == _same(started["vminfo"])
        assert cloud.qemu() == [qemu]

        seen.clear()
        watching = asyncio.create_task(watch(api, instance, seen))
        await until(lambda: seen)
        await api.terminate(instance)
        await asyncio.wait_for(watching, 30)
        states = [view["instance_state"] for view in seen]
        assert list(dict.fromkeys(states)) == ["Started", "Terminating", "Terminated"]
        assert cloud.qemu() == []
        assert cloud.vm_files() == []
        assert await greeting(started) != greeted
        assert living(cloud) == []
        await api.close()


@pytest.mark.timeout(180)
async def test_stop_ends_process_and_vms_also_after_a_kill(data: Path, tmp_path: Path):
    async with all_in_one(
        data, terminal=tmp_path / "terminal", instance_time_out=2, heartbeat=1
    ) as cloud:
        api = Api([cloud.address])
        await cloud.start()
        [first] = (await as_printed(cloud))["body"]
        await api.reaches([first], "Started", 60)
        started = await api.show(first)
        greeted = await greeting(started)
        assert greeted

        said = await cloud.end()
        assert first in said
        assert cloud.pid is None
        assert cloud.qemu() == []
        assert cloud.vm_files() == []
        assert await greeting(started) != greeted

        await cloud.start()
        await api.reaches([first], "", 20)
        [second] = (await as_printed(cloud))["body"]
        await until(cloud.qemu, 60)
        mongod = int((data / "mongod/pid").read_text())
        cloud.kill()
        assert cloud.qemu()
        await until(lambda: not psutil.pid_exists(mongod), 20)

        said = await cloud.end()
        assert second in said
        assert cloud.qemu() == []
        assert cloud.vm_files() == []
        assert living(cloud) == []
        assert holder(cloud.data) is None
        await api.close()


async def test_no_accepted_vm_is_lost_when_the_process_is_killed(tmp_path: Path):
    async with all_in_one(tmp_path / "data", driver="simulated") as cloud:
        api = Api([cloud.address])
        await cloud.start()
        assert "simulated" in cloud.output
        template = re.search(r'"vmid": "([^"]+)"', cloud.output)[1]
        ids = await api.ok("POST", "vm", {"vmid": template, "count": 20})
        cloud.kill()
        await cloud.start()
        assert set(ids) <= set(await api.states())
        await until(lambda: _started(api, 2), 30)
        await api.close()


async def test_taken_port_is_named_by_its_setting(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with all_in_one(tmp_path / "data", registry_port=port) as cloud:
            cloud.spawn()
            await until(lambda: cloud.pid is None, 20)
            assert f"CORRAL_REGISTRY_PORT: port {port} of 127.0.0.1 is taken" in cloud.output


async def test_unknown_setting_is_an_error_that_names_it(tmp_path: Path):
    async with all_in_one(tmp_path / "data") as cloud:
        cloud.env["CORRAL_LISTEN_PROT"] = "1"
        cloud.spawn()
        await until(lambda: cloud.pid is None, 20)
        assert "CORRAL_LISTEN_PROT" in cloud.output
        del cloud.env["CORRAL_LISTEN_PROT"]


async def test_second_process_on_one_data_folder_is_refused(tmp_path: Path):
    async with all_in_one(tmp_path / "data", driver="simulated") as cloud:
        await cloud.start()
        second = AllInOne(tmp_path / "data", terminal=tmp_path / "second", driver="simulated")
        second.spawn()
        await until(lambda: second.pid is None, 20)
        assert f"is in use by process {cloud.pid}" in second.output
        second.kill()


async def _started(api: Api, number: int) -> bool:
    return list((await api.states()).values()).count("Started") == number


def _same(vminfo: dict[str, Any]) -> dict[str, Any]:
    return {name: vminfo[name] for name in ("uuid", "name", "start_date", "port_forwarding")}
