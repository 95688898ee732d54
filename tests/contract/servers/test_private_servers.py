import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest

from chassis.errors import CorralError
from chassis.servers import MissingServer, MongoServer, RabbitServer
from chassis.servers.rabbitmq import find_rabbitmq
from tests.ports import free_port
from tests.servers import ROOT, mongo_server, rabbit_server
from tests.waiting import until


def listening(pid: int) -> set[str]:
    """Addresses on which a process and its group listen."""
    group = os.getpgid(pid)
    found: set[str] = set()
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group:
                found |= {c.laddr.ip for c in process.net_connections() if c.status == "LISTEN"}
        except (psutil.Error, ProcessLookupError):
            continue
    return found


@pytest.fixture(params=[mongo_server, rabbit_server])
async def server(request, tmp_path):
    server = request.param(tmp_path / "server")
    yield server
    server.kill()


async def test_a_server_listens_on_loopback_alone_and_ends_without_a_trace(server):
    await server.start()
    pid = server.pid
    assert listening(pid) <= {"127.0.0.1", "::1"}
    group = os.getpgid(pid)
    await server.stop()
    assert server.pid is None
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    await server.stop()  # once more changes nothing


async def test_killed_and_started_again_it_answers_at_the_same_address(server):
    await server.start()
    url = server.url
    server.kill()
    assert server.pid is None
    await server.start()
    assert server.url == url
    assert server.pid is not None


@pytest.mark.parametrize("kind", ["MongoServer", "RabbitServer"])
async def test_a_server_ends_with_its_parent_however_that_dies(tmp_path, kind: str):
    program = f"""
import asyncio, sys
from pathlib import Path
from chassis.servers import {kind}

async def main():
    folder = Path(sys.argv[1])
    options = {{"tree": Path(sys.argv[2])}} if "{kind}" == "RabbitServer" else {{}}
    server = {kind}(folder, **options)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
    folder = tmp_path / "server"
    folder.mkdir()
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(folder), str(ROOT / ".local/rabbitmq")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 60))
    group = os.getpgid(pid)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    def gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return all(
            p.status() == psutil.STATUS_ZOMBIE for p in psutil.process_iter() if _group(p) == group
        )

    await until(gone, limit=30)


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return -1


async def test_a_database_moves_to_another_port_with_its_data(tmp_path):
    server = mongo_server(tmp_path / "db")
    await server.start()
    await server.stop()
    moved = MongoServer(tmp_path / "db", port=free_port())
    assert moved.port != server.port
    await moved.start()
    await moved.stop()
    assert MongoServer(tmp_path / "db").port == moved.port, "the last one is kept"


async def test_a_server_that_cannot_start_says_why(tmp_path):
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho the reason >&2\nexit 1\n")
    broken.chmod(0o755)
    (tmp_path / "db").mkdir()
    server = MongoServer(tmp_path / "db", binary=broken)
    with pytest.raises(CorralError, match="the reason"):
        await server.start()
    assert server.pid is None


def test_without_rabbitmq_the_remedy_is_named(tmp_path):
    with pytest.raises(MissingServer, match="make test-programs"):
        find_rabbitmq(tree=tmp_path, path=str(tmp_path))


def test_of_an_installed_package_the_real_script_is_used_and_never_the_wrapper(tmp_path):
    (tmp_path / "lib").mkdir()
    for name in ("rabbitmq-script-wrapper", "rabbitmq-server"):
        (tmp_path / "lib" / name).write_text("#!/bin/sh\n")
        (tmp_path / "lib" / name).chmod(0o755)
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin/rabbitmq-server").symlink_to("../lib/rabbitmq-script-wrapper")
    found = find_rabbitmq(tree=tmp_path, path=str(tmp_path / "sbin"))
    assert found.script == tmp_path / "lib/rabbitmq-server"


def test_a_start_script_given_is_used(tmp_path):
    assert find_rabbitmq(tmp_path / "mine").script == tmp_path / "mine"
    assert RabbitServer(tmp_path).port != RabbitServer(tmp_path).port
