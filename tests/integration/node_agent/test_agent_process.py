"""The ``corral-agent`` command against a real broker, killed and started again."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chassis.bus.amqp import AmqpBus
from chassis.bus.dispatch import Dispatcher
from chassis.bus.port import Queue
from chassis.clock import SystemClock
from contracts.documents import say
from contracts.messages import Message, Report, tag_of
from contracts.nodes import NodeGoodbye, NodeHeartbeat, NodeHello
from contracts.vms import RunVm, Script, StopVm, VmFailed, VmGone, VmStarted
from node_agent.drivers.simulated_host import HistoryLine, read_history
from tests.agent_world import a_template
from tests.waiting import until

AGENT = str(Path(sys.executable).with_name("corral-agent"))
KINDS = (NodeHello, NodeHeartbeat, NodeGoodbye, VmStarted, VmFailed, VmGone)


class Process:
    """An agent as users run it, with its own data directory."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self.data = data
        self.child: asyncio.subprocess.Process | None = None

    async def join(self, *flags: str) -> None:
        self.child = await asyncio.create_subprocess_exec(
            *(AGENT, "join", self.url, "--driver", "simulated", "--data", str(self.data)),
            *("--node-id", "n", "--name", "mini", "--metrics-port", "0", "--heartbeat", "500ms"),
            *flags,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def call(self, *words: str) -> tuple[int, str, str]:
        child = await asyncio.create_subprocess_exec(
            *(AGENT, *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"CORRAL_DATA": str(self.data)},
        )
        out, err = await child.communicate()
        assert child.returncode is not None
        return child.returncode, out.decode(), err.decode()

    async def end(self, number: signal.Signals) -> str:
        assert self.child is not None
        if self.child.returncode is None:
            self.child.send_signal(number)
        out, _ = await asyncio.wait_for(self.child.communicate(), 20)
        return out.decode()

    def history(self, verb: str) -> list[HistoryLine]:
        lines = read_history(self.data / "simulated" / "n")
        return [line for line in lines if line.verb == verb]


class Scheduler:
    """Hears what agents say and gives them orders."""

    def __init__(self, url: str) -> None:
        self.bus = AmqpBus(url, SystemClock())
        self.heard: list[Message] = []
        queue = Queue(name="scheduler.reports", keys=tuple(tag_of(kind) for kind in KINDS))
        self._dispatcher = Dispatcher(self.bus, [queue], KINDS, self._hear, SystemClock())

    async def start(self) -> None:
        await self.bus.start()
        await until(lambda: self.bus.connected)
        await self._dispatcher.start()

    async def stop(self) -> None:
        await self._dispatcher.stop()
        await self.bus.stop()

    def said(self, kind: type[Report]) -> list[Any]:
        return [report for report in self.heard if isinstance(report, kind)]

    async def order(self, instance: str, **fields: Any) -> None:
        end = datetime.now(UTC) + timedelta(seconds=60)
        order = RunVm(
            node_id="n",
            instance_id=instance,
            attempt=1,
            epoch=1,
            deadline=end,
            valid_until=end,
            validity=60,
            cloud_id="cloud",
            registry="",
            template=a_template(),
            **fields,
        )
        await self.bus.publish([say(order)])

    async def stop_vm(self, instance: str) -> None:
        end = datetime.now(UTC) + timedelta(seconds=60)
        order = StopVm(node_id="n", instance_id=instance, attempt=1, epoch=1, deadline=end)
        await self.bus.publish([say(order)])

    async def _hear(self, batch: Any) -> None:
        self.heard += batch


@pytest.fixture
async def scheduler(rabbitmq_url: str) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(rabbitmq_url)
    await scheduler.start()
    yield scheduler
    await scheduler.stop()


@pytest.fixture
async def agent(rabbitmq_url: str, tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(rabbitmq_url, tmp_path)
    yield process
    if process.child is not None and process.child.returncode is None:
        await process.end(signal.SIGKILL)


async def test_an_agent_joins_tells_its_status_and_disjoins(agent: Process, scheduler: Scheduler):
    await agent.join("--groups", "ios", "-m", "7", "--tls")
    await until(lambda: scheduler.said(NodeHello), limit=20)
    hello = scheduler.said(NodeHello)[0]
    assert (hello.facts.capacity, hello.facts.groups) == (7, ("ios",))
    code, out, _ = await agent.call("status", "--machine-readable")
    status = msgspec.json.decode(out)
    assert (code, status["status"], status["config"]["vm_limit"]) == (0, "running", 7)
    assert status["config"]["heartbeat"] == 500_000_000
    assert "guest" not in status["config"]["controller_addresses"][0]
    code, out, _ = await agent.call("disjoin")
    assert (code, out) == (0, "Disjoined from the Corral cloud\n")
    await until(lambda: scheduler.said(NodeGoodbye))
    assert agent.child is not None
    printed = await agent.end(signal.SIGTERM)
    assert printed.endswith("Success!\nCorral cloud join success\n")
    assert printed.startswith("Testing connection to the controller...: Ok\n")
    code, _, err = await agent.call("status")
    assert code == 1
    assert "agent may not be running" in err


async def test_vms_outlive_their_agent_and_are_found_again(agent: Process, scheduler: Scheduler):
    await agent.join()
    await until(lambda: scheduler.said(NodeHello), limit=20)
    await scheduler.order("i-1")
    await until(lambda: scheduler.said(VmStarted))
    await agent.end(signal.SIGTERM)
    scheduler.heard.clear()
    await agent.join()
    await until(lambda: scheduler.said(NodeHello), limit=20)
    line = scheduler.said(NodeHello)[0].vms[0]
    assert (line.instance_id, line.phase) == ("i-1", "running")
    await scheduler.stop_vm("i-1")
    await until(lambda: scheduler.said(VmGone))
    assert len(agent.history("start")) == 1
    assert len(agent.history("delete")) == 1


async def test_kill_minus_nine_at_random_moments_starts_nothing_twice(
    agent: Process, scheduler: Scheduler
):
    flags = ("--sim-clone", "20ms", "--sim-start", "40ms", "-m", "100")
    await agent.join(*flags)
    await until(lambda: scheduler.said(NodeHello), limit=20)
    wanted = {f"i-{number}" for number in range(60)}
    for number in range(60):
        await scheduler.order(f"i-{number}")
        if number % 20 == 19:
            await until(lambda seen=number: len(agent.history("clone")) > seen // 2)
            await agent.end(signal.SIGKILL)
            await agent.join(*flags)

    def running() -> bool:
        return {report.instance_id for report in scheduler.said(VmStarted)} == wanted

    await until(running, limit=40)
    starts = [line.instance_id for line in agent.history("start")]
    assert len(starts) == len(set(starts)) == 60
    assert scheduler.said(VmFailed) == []


async def test_a_script_that_was_killed_with_its_agent_is_never_begun_again(
    agent: Process, scheduler: Scheduler
):
    await agent.join()
    await until(lambda: scheduler.said(NodeHello), limit=20)
    await scheduler.order("i-1", script=Script(body=b"sleep 60", monitored=True))
    await until(lambda: agent.history("script"))
    await agent.end(signal.SIGKILL)
    await agent.join()
    await until(lambda: scheduler.said(VmFailed), limit=20)
    assert scheduler.said(VmFailed)[0].message == "startup script interrupted"
    assert len(agent.history("script")) == 1


async def test_wrong_flags_end_the_command_with_their_reason(agent: Process):
    for flags, reason in (
        (("--driver", "vmware"), "no driver 'vmware'"),
        (("--driver", "qemu", "--nodes", "3"), "serves one node"),
        (("--driver", "simulated", "--heartbeat", "soon"), "'soon' is not a duration"),
    ):
        code, _, err = await agent.call("join", "amqp://guest:guest@127.0.0.1:1/", *flags)
        assert code == 1
        assert reason in err
