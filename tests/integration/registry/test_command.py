"""The ``corral template`` command against a real registry, and the registry as a real process."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from chassis.bus.amqp import AmqpBus
from chassis.bus.port import Queue
from chassis.clock import SystemClock
from contracts.artifacts import TemplateConfig
from contracts.templates import TemplateChanged
from corral.registry import RegistryClient
from tests.ports import free_port
from tests.registries import push, qcow2, qcow2_over
from tests.servers import fresh_store
from tests.waiting import until


async def corral(*arguments, expect=0):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from corral.cli import main; main()"),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200"},
    )
    out, err = await process.communicate()
    assert process.returncode == expect, err.decode()
    return out.decode() if expect == 0 else err.decode()


@pytest.fixture
def disks(tmp_path):
    base, top = tmp_path / "base.qcow2", tmp_path / "top.qcow2"
    base.write_bytes(qcow2())
    top.write_bytes(qcow2_over(base.read_bytes()))
    return base, top


async def test_a_pushed_disk_is_listed_and_pulled_again(registry, disks, tmp_path):
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(os.urandom(10_000))
    pushed = await corral(
        *("template", "push", *disks, "--name", "mine", "--tag", "v 1+x", "--ram", 256),
        *("--kernel", kernel, "--port", "ssh=22", "--port", "http=80"),
        *("--registry", registry.address),
    )
    identity = pushed.split()[0]
    listed = await corral("template", "list", "--registry", registry.address)
    assert identity in listed
    assert "mine" in listed
    tags = await corral("template", "list", identity, "--json", "--registry", registry.address)
    assert msgspec.json.decode(tags)["versions"][0]["tag"] == "v 1+x"
    folder = tmp_path / "pulled"
    names = await corral(
        "template", "pull", identity, "v 1+x", folder, "--registry", registry.address
    )
    contents = [Path(name).read_bytes() for name in names.split()]  # noqa: ASYNC240 -- small
    assert contents == [file.read_bytes() for file in (*disks, kernel)]


async def test_a_suspended_vm_is_pushed_with_its_state_and_firmware_and_pulled_again(
    registry, disks, tmp_path
):
    nvram, state, saved = (tmp_path / name for name in ("nvram", "state", "saved.json"))
    nvram.write_bytes(os.urandom(1000))
    state.write_bytes(os.urandom(20_000))
    saved.write_text('{"machine":"pc-q35-7.2","cpu":1,"ram_mb":512}')
    there = ("--registry", registry.address)
    parts = ("--nvram", nvram, "--state", state)
    asleep = ("template", "push", disks[0], "--name", "asleep", *parts, *there)
    assert "saved: goes with a layer" in await corral(*asleep, expect=1)
    assert "--saved" in await corral(*asleep, "--saved", state, expect=1)
    pushed = await corral(*asleep, "--saved", saved, "--network-mode", "nat")
    identity, folder = pushed.split()[0], tmp_path / "pulled"
    names = await corral("template", "pull", identity, "latest", folder, *there)
    contents = [Path(name).read_bytes() for name in names.split()]  # noqa: ASYNC240 -- small
    assert contents == [file.read_bytes() for file in (disks[0], nvram, state)]


async def test_a_refused_push_is_one_line_and_a_status(registry, tmp_path):
    bad = tmp_path / "bad.qcow2"
    bad.write_bytes(b"no disk")
    said = await corral(
        *("template", "push", bad, "--name", "bad", "--registry", registry.address), expect=1
    )
    assert "is not a qcow2 image" in said
    assert "Traceback" not in said


async def test_no_registry_is_one_line_and_a_status(disks):
    said = await corral("template", "list", "--registry", "http://127.0.0.1:9", expect=1)
    assert said.startswith("corral: http://127.0.0.1:9")


async def test_the_process_pushes_pulls_speaks_to_the_broker_and_ends_cleanly(
    mongod, rabbitmq_url, tmp_path
):
    store = fresh_store(mongod)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "registry"),
        env=os.environ
        | {
            "CORRAL_MONGODB_URL": mongod.url,
            "CORRAL_MONGODB_DATABASE": store._database.name,
            "CORRAL_RABBITMQ_URL": rabbitmq_url,
            "CORRAL_LISTEN_PORT": str(port),
            "CORRAL_METRICS_PORT": "0",
            "ANKA_BASE_PATH": str(tmp_path / "registry"),
        },
    )
    bus = AmqpBus(rabbitmq_url, SystemClock())
    await bus.start()
    heard = []
    ready = asyncio.Event()

    def receive(delivery):
        heard.extend(msgspec.json.decode(delivery.body, type=list[TemplateChanged]))

    try:
        await bus.consume(Queue(name="ear", keys=("template.changed.v1",)), receive, ready.set)
        await asyncio.wait_for(ready.wait(), 30)
        async with RegistryClient(f"http://127.0.0.1:{port}", tries=10) as client:
            await push(client, "real", "v1", [qcow2()], TemplateConfig(name="real"))
        await until(lambda: heard)
        assert heard[0].template.name == "real"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await bus.stop()
        await store.stop()
