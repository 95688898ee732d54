"""Startup scripts: begun once, bounded, and what their failure does."""

from datetime import timedelta

import pytest

from contracts.vms import (
    Script,
    ScriptCondition,
    ScriptFailHandler,
    VmFailed,
    VmGone,
    VmPhase,
    VmStarted,
)
from node_agent.drivers.simulated_host import Delays, Fault, FaultKind
from tests.agent_world import AgentWorld, a_template
from tests.waiting import until


def script(body: bytes, **fields) -> Script:
    return Script(body=body, **fields)


async def test_a_monitored_script_that_succeeds_is_reported(world: AgentWorld):
    await world.start()
    started = await world.started(script=script(b"echo hi\nexit 0", monitored=True))
    assert started.script_result.return_code == 0
    assert started.script_result.stdout == "hi\n"


async def test_an_unmonitored_script_runs_before_started_and_its_failure_changes_nothing(
    world: AgentWorld,
):
    await world.start()
    started = await world.started(script=script(b"exit 7"))
    assert started.script_result is None
    assert [line.verb for line in world.history()] == ["clone", "start", "script"]


@pytest.mark.parametrize(
    ("handler", "left", "status"),
    [
        (ScriptFailHandler.STOP, True, "stopped"),
        (ScriptFailHandler.KEEP, True, "running"),
        (ScriptFailHandler.DELETE, False, None),
    ],
)
async def test_a_monitored_failure_is_final_and_its_handler_decides_what_stays(
    world: AgentWorld, handler: ScriptFailHandler, left: bool, status: str | None
):
    await world.start()
    await world.order(
        world.run_vm(script=script(b"exit 127", monitored=True, fail_handler=handler))
    )
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final) == ("startup script exit code 127", True)
    assert failed.script_result.return_code == 127
    assert failed.vm_left is left
    vms = await world.driver.list_vms()
    assert [vm.info.status for vm in vms] == ([status] if status else [])
    assert (failed.info.status if failed.info else None) == status


async def test_a_left_vm_stays_in_heartbeats_until_it_is_stopped(world: AgentWorld):
    await world.start()
    keep = script(b"exit 1", monitored=True, fail_handler=ScriptFailHandler.KEEP)
    await world.order(world.run_vm(script=keep))
    await world.heard(VmFailed)
    (line,) = (await world.beat()).vms
    assert line.phase is VmPhase.FAILED
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []
    assert (await world.beat()).vms == ()


async def test_a_script_beyond_its_limit_failed_with_minus_one(world: AgentWorld):
    await world.start()
    await world.order(world.run_vm(script=script(b"sleep 100", monitored=True, timeout=5)))
    await until(lambda: world.history("script"))
    for _ in range(5):
        await world.clock.advance(1)
    failed = await world.heard(VmFailed)
    assert failed.message == "startup script exit code -1"
    assert failed.script_result.did_timeout


async def test_an_unmonitored_script_runs_on_beyond_its_time(world: AgentWorld):
    await world.start()
    await world.order(world.run_vm(script=script(b"sleep 100", timeout=5)))
    await until(lambda: world.history("script"))
    for _ in range(5):
        await world.clock.advance(1)
    started = await world.heard(VmStarted)
    assert started.script_result is None
    assert started.info.status == "running"


async def test_a_script_waits_for_the_network_when_it_needs_it(world: AgentWorld):
    world.delays = Delays(network=3)
    await world.start()
    await world.order(world.run_vm(script=script(b"exit 0", monitored=True)))
    await until(lambda: world.history("start"))
    await world.clock.advance(1)
    assert not world.history("script")
    await world.clock.advance(3)
    started = await world.heard(VmStarted)
    assert started.info.ip
    assert world.history("script")


async def test_a_script_for_a_booted_guest_does_not_wait_for_the_network(world: AgentWorld):
    world.delays = Delays(network=3)
    await world.start()
    booted = script(b"exit 0", monitored=True, condition=ScriptCondition.BOOTED)
    started = await world.started(script=booted)
    assert started.info.ip == ""


async def test_without_an_address_in_time_a_script_is_tried_on_another_node(world: AgentWorld):
    world.delays = Delays(network=1000)
    await world.start(network_timeout=10)
    await world.order(world.run_vm(script=script(b"exit 0", monitored=True)))
    await until(lambda: world.history("start"))
    await world.clock.advance(11)
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final) == ("no network address within 10 seconds", False)
    assert not world.history("script")
    assert await world.driver.list_vms() == []


async def test_whatever_fails_after_a_script_was_begun_is_final(world: AgentWorld):
    world.faults = (Fault(verb="script", nth=1, kind=FaultKind.LOSE),)
    await world.start()
    await world.order(world.run_vm(script=script(b"exit 0")))
    failed = await world.heard(VmFailed)
    assert failed.final
    assert "not found" in failed.message


async def test_a_script_killed_with_its_agent_is_interrupted_and_never_begun_again(
    world: AgentWorld,
):
    await world.start()
    await world.order(world.run_vm(script=script(b"sleep 30", monitored=True)))
    await until(lambda: world.history("script"))
    await world.kill()

    await world.start()

    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final) == ("startup script interrupted", True)
    assert failed.vm_left
    await world.order(world.run_vm(script=script(b"sleep 30", monitored=True)))
    again = await world.heard(VmFailed, 2)
    assert again.message == failed.message
    assert len(world.history("script")) == 1


async def test_a_long_script_keeps_no_worker_from_other_starts(world: AgentWorld):
    await world.start(driver="real", num_workers=1)
    await world.order(world.run_vm("i-1", script=script(b"sleep 1000", timeout=2000)))
    await until(lambda: world.history("script"))
    await world.started("i-2", template=a_template())


async def test_an_agent_that_was_frozen_begins_no_script_too_late(world: AgentWorld):
    world.delays = Delays(network=5)
    await world.start()
    await world.order(world.run_vm(seconds=30, script=script(b"exit 0")))
    await until(lambda: world.history("start"))
    world.clock._start += timedelta(seconds=40)  # as long as it was frozen
    for _ in range(60):
        await world.clock.advance(0.1)
    failed = await world.heard(VmFailed)
    assert failed.message == "the start was not confirmed in time"
    assert not world.history("script")
