"""What an agent leaves in the registry about a VM that failed."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import web

from chassis.web import WebServer
from contracts.nodes import ConfigureAgent
from contracts.vms import Script, ScriptFailHandler, VmFailed
from node_agent import failure_logs
from node_agent.drivers.simulated_host import Fault, FaultKind
from node_agent.flags import JoinFlags
from tests.agent_world import NODE, AgentWorld
from tests.waiting import until


class Files:
    """A registry that takes files; ``hangs`` never answers, ``answers`` is a status."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.seen: list[int] = []
        self.asked = 0
        self.world: AgentWorld | None = None
        self.answers = 200
        self.hangs: asyncio.Event | None = None
        app = web.Application()
        app.router.add_put("/files/logs/{path:.*}", self._put)
        self.server = WebServer(app, "127.0.0.1", 0)

    async def _put(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.hangs is not None:
            await self.hangs.wait()
        assert self.world is not None
        self.seen.append(len(self.world.driver.hypervisor.vms))
        self.kept[request.match_info["path"]] = await request.read()
        return web.Response(status=self.answers)


@pytest.fixture
async def files(world: AgentWorld) -> AsyncIterator[Files]:
    files = Files()
    files.world = world
    await files.server.start()
    yield files
    if files.hangs is not None:
        files.hangs.set()
    await files.server.stop()


async def fail(world: AgentWorld, files: Files, verb: str = "start", **order) -> VmFailed:
    if verb:
        world.faults = (Fault(verb=verb, nth=1), *world.faults)
    await world.start()
    await world.order(world.run_vm(registry=files.server.address, **order))
    return await world.heard(VmFailed)


async def test_the_console_is_uploaded_before_the_vm_is_deleted(world: AgentWorld, files: Files):
    failed = await fail(world, files)
    ((path, content),) = files.kept.items()
    assert path.endswith("/console.log")
    assert b"simulated VM" in content
    assert failed.logs == (path,)
    assert files.seen == [1]
    assert await world.driver.list_vms() == []


async def test_a_failed_script_leaves_logs_too(world: AgentWorld, files: Files):
    script = Script(body=b"exit 3", monitored=True, fail_handler=ScriptFailHandler.KEEP)
    failed = await fail(world, files, verb="", script=script)
    (vm,) = await world.driver.list_vms()
    assert failed.logs == (f"{vm.info.uuid}/console.log",)


async def test_a_failure_before_there_is_a_vm_is_reported_without_logs_of_it(
    world: AgentWorld, files: Files
):
    failed = await fail(world, files, verb="clone")
    assert "clone" in failed.message
    assert (failed.logs, files.kept) == ((), {})


async def test_a_registry_that_hangs_delays_the_report_by_seconds_only(
    world: AgentWorld, files: Files, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(failure_logs, "_SECONDS", 0.3)
    files.hangs = asyncio.Event()
    began = time.monotonic()
    failed = await fail(world, files)
    assert time.monotonic() - began < 5
    assert failed.logs == ()
    assert await world.driver.list_vms() == []


@pytest.mark.parametrize("answer", [400, 413, 507])
async def test_what_the_registry_does_not_take_is_not_promised(
    world: AgentWorld, files: Files, answer: int
):
    files.answers = answer
    assert (await fail(world, files)).logs == ()


@pytest.mark.parametrize("registry", ["", "nonsense", "http://", "http://127.0.0.1:1", "http://["])
async def test_a_bad_registry_address_changes_nothing_else(world: AgentWorld, registry: str):
    world.faults = (Fault(verb="start", nth=1),)
    await world.start()
    await world.order(world.run_vm(registry=registry))
    failed = await world.heard(VmFailed)
    assert failed.logs == ()
    assert await world.driver.list_vms() == []


async def test_a_driver_that_cannot_tell_changes_nothing_else(world: AgentWorld, files: Files):
    world.faults = (Fault(verb="logs", nth=1, kind=FaultKind.HOST_FAULT),)
    assert (await fail(world, files)).logs == ()
    assert files.kept == {}


async def test_a_termination_does_not_wait_for_an_upload(world: AgentWorld, files: Files):
    files.hangs = asyncio.Event()
    world.faults = (Fault(verb="start", nth=1),)
    await world.start()
    await world.order(world.run_vm(registry=files.server.address))
    await until(lambda: files.asked)
    began = time.monotonic()
    await world.order(world.stop_vm())
    await until(lambda: not world.driver.hypervisor.vms)
    assert time.monotonic() - began < 3


async def test_leaving_logs_can_be_turned_off(world: AgentWorld, files: Files):
    world.faults = (Fault(verb="start", nth=1),)
    await world.start(failure_logs=False)
    await world.order(world.run_vm(registry=files.server.address))
    assert (await world.heard(VmFailed)).logs == ()
    assert files.kept == {}


async def test_the_agent_ships_its_log_unless_its_node_is_told_not_to(world: AgentWorld):
    await world.start(central_logging=True, registry_address="http://127.0.0.1:1")
    shipping = world.agent.nodes[NODE].host.shipping
    assert shipping is not None
    assert shipping.enabled
    deadline = world.clock.now() + timedelta(seconds=60)
    for version, wish in ((2, False), (1, True)):
        order = ConfigureAgent(
            node_id=NODE, deadline=deadline, version=version, central_logging=wish
        )
        await world.order(order)
        await until(lambda: not shipping.enabled)
    await world.order(
        ConfigureAgent(node_id=NODE, deadline=deadline, version=3, central_logging=True)
    )
    await until(lambda: shipping.enabled)


async def test_a_join_without_central_logging_ships_nothing(world: AgentWorld):
    assert JoinFlags(no_central_logging=True).settings() == {"central_logging": False}
    assert JoinFlags().settings() == {}
    await world.start(central_logging=False)
    assert world.agent.nodes[NODE].host.shipping is None
