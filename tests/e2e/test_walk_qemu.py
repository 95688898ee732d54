"""The main job with a real guest and every service a process: ask, wait, work, throw away."""

import asyncio
import base64
import os
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from node_agent.journal import Journal
from tests.clock import ManualClock
from tests.event_log import kinds_by_subject, read_log, without_holes
from tests.images import push_demo_guest
from tests.ports import free_port
from tests.processes import Cloud, qemu_processes
from tests.receiver import Receiver
from tests.slow_link import slow_link
from tests.waiting import until

pytestmark = pytest.mark.timeout(400)

BRISK = {
    "lease_seconds": 3.0,
    "validity_seconds": 15.0,
    "skew_seconds": 1.0,
    "node_active_timeout": 10.0,
    "instance_time_out": 3.0,
    "heartbeat_seconds": 1.0,
    "sweep_seconds": 2.0,
    "manage_mac_addresses": True,
}
PULL_RATE = 12 << 20
MAC = "52:54:00:12:34:5A"
SCRIPT = """
echo begun >> /root/begun
echo "$(nproc) $(wc -l < /root/begun) $(cat /sys/class/net/eth0/address)"
echo problem >&2
"""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A webhook."""
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def real(cloud: Cloud, receiver: Receiver) -> AsyncIterator[Cloud]:
    """Everything twice where that is allowed; the agent ``real`` runs QEMU, ``sim`` pretends."""
    cloud.registry()
    async with slow_link(cloud.registry_url, PULL_RATE) as slow:
        for name in ("gateway1", "gateway2"):
            cloud.gateway(name, registry_address=slow, registry_local_address=cloud.registry_url)
        for name in ("scheduler1", "scheduler2"):
            cloud.scheduler(name, **BRISK)
        cloud.pusher("pusher", lease_seconds=3.0, event_log_url=receiver.url)
        cloud.agent("real", driver="qemu", heartbeat=1.0, reserve_space="1GB")
        cloud.agent("sim", heartbeat=1.0)
        await cloud.up()
        cloud.api.template = await push_demo_guest(cloud.registry_url)
        await cloud.api.ready(2)
        yield cloud
        for pid in qemu_processes(cloud.data("real")):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Watcher:
    """Looks at one instance through one gateway all the time; ``seen`` are its changes."""

    def __init__(self, cloud: Cloud, vm: str, gateway: int) -> None:
        self._cloud, self._vm, self._gateway = cloud, vm, gateway
        self.seen: list[tuple[str, float]] = []
        self._task = asyncio.create_task(self._watch())

    @property
    def states(self) -> list[str]:
        """Each change of the state, in order; "" when it is gone."""
        found = [state for state, _ in self.seen]
        return [state for i, state in enumerate(found) if i == 0 or state != found[i - 1]]

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        while True:
            shown = await self._cloud.api.show(self._vm, self._gateway)
            now = shown.get("instance_state", ""), shown.get("progress", 0.0)
            if not self.seen or self.seen[-1] != now:
                self.seen.append(now)
            await asyncio.sleep(0.02)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process stands still inside the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def wish(**more):
    """With ports that nobody else takes while the guest is away."""
    return {
        "node_id": "real",
        "tag": "v1",
        "vcpu": 2,
        "vram": 192,
        "mac_address": MAC,
        "disk": {"size": "256M"},
        "vnc_password": "secret",
        "port_forwarding_override": [
            {"name": "ssh", "guest_port": 22, "host_port": free_port()},
            {"name": "web", "guest_port": 80, "host_port": free_port()},
        ],
        "startup_script": base64.b64encode(SCRIPT.encode()).decode(),
        "script_monitoring": True,
        "external_id": "job-7",
        **more,
    }


def ports_of(shown):
    return {rule["name"]: rule["host_port"] for rule in shown["vminfo"]["port_forwarding"]}


def page(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        found: bytes = answer.read()
        return found


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def vm_folders(cloud: Cloud) -> list[Path]:
    return list((cloud.data("real") / "qemu/vms").iterdir())


async def test_a_vm_is_pulled_started_used_restarted_and_thrown_away(real, cloud_store, receiver):
    with frozen(real.pid("real")):  # until every watcher has seen the first state
        [vm] = await real.api.start(**wish())
        watchers = [Watcher(real, vm, gateway) for gateway in (0, 1)]
        await until(lambda: all(watcher.states for watcher in watchers))
    for gateway in (0, 1):
        await real.api.reaches([vm], "Started", 150, gateway)
    shown = await real.api.show(vm)
    assert shown == await real.api.show(vm, 1)
    check_started(shown)
    assert b"It runs" in await asyncio.to_thread(page, ports_of(shown)["web"])

    [qemu] = qemu_processes(real.data("real"))
    real.kill("real")
    assert b"It runs" in await asyncio.to_thread(page, ports_of(shown)["web"])
    real.start("real")
    await real.up("real")
    before = shown["vminfo"]
    await real.api.ok("POST", "rpc/vm/restart", {"instance_id": vm}, gateway=1)

    async def restarted():
        return (await real.api.show(vm))["vminfo"]["start_date"] != before["start_date"]

    await until(restarted, 120)
    shown = await real.api.show(vm)
    assert shown["instance_state"] == "Started"
    assert shown["vminfo"]["uuid"] == before["uuid"]
    assert shown["vminfo"]["port_forwarding"] == before["port_forwarding"]
    [again] = qemu_processes(real.data("real"))
    assert again != qemu
    assert b"It runs" in await asyncio.to_thread(page, ports_of(shown)["web"])

    with frozen(real.pid("real")):
        await real.api.terminate(vm, gateway=1)
        await until(lambda: all(watcher.states[-1] == "Terminating" for watcher in watchers))
    for gateway in (0, 1):
        await real.api.reaches([vm], "", 30, gateway)
    for watcher in watchers:
        await until(lambda watcher=watcher: watcher.states[-1] == "", 5)
        await watcher.stop()
        assert watcher.states == [
            *("Scheduling", "Pulling", "Scheduling", "Started"),
            *("Terminating", "Terminated", ""),
        ]
        shares = [progress for state, progress in watcher.seen if state == "Pulling"]
        assert shares == sorted(shares)
        assert any(0 < share < 1 for share in shares)
    await assert_nothing_is_left(real, ports_of(shown).values())
    await assert_events(cloud_store, receiver, vm)


def check_started(shown):
    assert shown["node_id"] == "real"
    assert shown["external_id"] == "job-7"
    assert shown["tag"] == "v1"
    result = shown["startup_script"]
    assert result["stdout"] == f"2 1 {MAC.lower()}\n"
    assert result["stderr"] == "problem\n"
    assert (result["return_code"], result["did_timeout"]) == (0, False)
    info = shown["vminfo"]
    assert info["status"] == "running"
    assert (info["cpu_cores"], info["ram"]) == (2, "192M")
    assert info["ip"]
    assert info["host_ip"] == "127.0.0.1"
    assert info["vnc_connection_string"] == f"vnc://:secret@127.0.0.1:{info['vnc_port']}"
    assert set(ports_of(shown)) == {"ssh", "web"}
    assert shown["mac_address"] == MAC


async def assert_nothing_is_left(cloud, ports):
    """No process, port or disk, and nothing in the journal that means a VM."""
    assert qemu_processes(cloud.data("real")) == []
    assert vm_folders(cloud) == []
    assert all(refuses(port) for port in ports)
    cloud.kill("real")
    journal = Journal(cloud.data("real") / "journal", ManualClock())
    journal.open()
    assert not [record for record in journal.records.values() if record.has_vm]
    await journal.close()


async def assert_events(store, receiver, vm):
    kinds = ["StartVM", "VMStarted", "VMRestarted", "TerminateVM", "VMTerminated"]

    async def pushed():
        log = await read_log(store)
        return len(receiver.sequences()) == len(log) >= len(kinds)

    await until(pushed, 15)
    log = await read_log(store)
    assert without_holes(log)
    assert kinds_by_subject(log)[vm] == kinds
    names = {event["sequence"]: event["name"] for event in receiver.arrived}
    assert [names[number] for number in receiver.sequences(vm)] == kinds
    assert sorted(names) == [entry.sequence for entry in log]


async def test_an_agent_killed_at_every_stage_brings_up_one_vm_and_runs_its_script_once(
    real, cloud_store
):
    """While it pulls, while the guest boots, and when it runs."""
    [vm] = await real.api.start(**wish())
    await real.api.reaches([vm], "Pulling", 30)
    real.kill("real")
    real.start("real")
    await until(lambda: qemu_processes(real.data("real")), 60)
    real.kill("real")
    real.start("real")
    await real.api.reaches([vm], "Started", 150)
    shown = await real.api.show(vm)
    check_started(shown)
    [qemu] = qemu_processes(real.data("real"))
    real.kill("real")
    real.start("real")
    await real.up("real")
    adopted = await until(lambda: adoptions(real), 10)
    assert adopted
    assert qemu_processes(real.data("real")) == [qemu]
    again = await real.api.show(vm)
    assert again["instance_state"] == "Started"
    assert again["vminfo"]["uuid"] == shown["vminfo"]["uuid"]
    await real.api.terminate(vm)
    await real.api.reaches([vm], "", 30)
    await assert_nothing_is_left(real, ports_of(shown).values())
    kinds = kinds_by_subject(await read_log(cloud_store))[vm]
    assert kinds[:2] == ["StartVM", "VMStarted"]


def adoptions(cloud):
    return [line for line in cloud.log_of("real") if line["event"] == "agent.started"][3:]
