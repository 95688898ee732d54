"""Scripts that are ordered when the VM runs already: begun once, told as often as asked."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.scripts import RunScript, VmScripted
from contracts.vms import (
    Script,
    ScriptFailHandler,
    VmFailed,
    VmGone,
    VmPhase,
    VmRefused,
)
from node_agent.drivers.simulated_host import Fault, FaultKind
from tests.agent_world import NODE, AgentWorld
from tests.waiting import until


def late(world: AgentWorld, body: bytes, *, seconds: float = 60, **fields: Any) -> RunScript:
    about = {"node_id": NODE, "attempt": 1, "epoch": 1, "instance_id": "i-1"}
    order = {name: fields.pop(name) for name in tuple(fields) if name in about}
    deadline = world.clock.now() + timedelta(seconds=seconds)
    script = Script(body=body, **fields)
    return RunScript(**(about | order), deadline=deadline, script=script)


async def running(world: AgentWorld) -> None:
    await world.start()
    await world.started()


async def test_it_runs_once_however_often_it_is_ordered(world: AgentWorld):
    await running(world)
    order = late(world, b"echo hi", monitored=True)
    await world.order(order)
    first = await world.heard(VmScripted)
    assert (first.script_result.return_code, first.script_result.stdout) == (0, "hi\n")
    assert first.info.status == "running"
    await world.order(order)
    again = await world.heard(VmScripted, 2)
    assert again.script_result == first.script_result
    assert len(world.history("script")) == 1


async def test_copies_that_come_at_once_are_one(world: AgentWorld):
    await running(world)
    order = late(world, b"echo hi", monitored=True)
    await world.order(order, order)
    assert (await world.heard(VmScripted)).script_result.stdout == "hi\n"
    assert world.said(VmFailed) == []
    assert len(world.history("script")) == 1


async def test_an_unmonitored_one_has_no_result_and_its_failure_changes_nothing(world: AgentWorld):
    await running(world)
    await world.order(late(world, b"exit 7"))
    assert (await world.heard(VmScripted)).script_result is None


@pytest.mark.parametrize(
    ("handler", "left", "status"),
    [
        (ScriptFailHandler.STOP, True, "stopped"),
        (ScriptFailHandler.KEEP, True, "running"),
        (ScriptFailHandler.DELETE, False, None),
    ],
)
async def test_a_monitored_failure_is_that_of_the_start(
    world: AgentWorld, handler: ScriptFailHandler, left: bool, status: str | None
):
    await running(world)
    await world.order(late(world, b"exit 127", monitored=True, fail_handler=handler))
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final) == ("startup script exit code 127", True)
    assert (failed.script_result.return_code, failed.vm_left) == (127, left)
    assert (failed.info.status if failed.info else None) == status
    await world.order(late(world, b"exit 127", monitored=True, fail_handler=handler))
    assert (await world.heard(VmFailed, 2)).message == failed.message
    assert len(world.history("script")) == 1


async def test_one_that_a_killed_agent_had_begun_is_interrupted(world: AgentWorld):
    await running(world)
    order = late(world, b"sleep 30", monitored=True)
    await world.order(order)
    await until(lambda: world.history("script"))
    await world.kill()
    await world.start()
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final) == ("startup script interrupted", True)
    assert len(world.history("script")) == 1


async def test_its_outcome_outlives_the_agent(world: AgentWorld):
    await running(world)
    order = late(world, b"echo hi", monitored=True)
    await world.order(order)
    await world.heard(VmScripted)
    await world.kill()
    await world.start()
    await world.order(order)
    assert (await world.heard(VmScripted, 2)).script_result.stdout == "hi\n"
    assert len(world.history("script")) == 1


async def test_a_vm_that_is_lost_under_it_has_failed(world: AgentWorld):
    world.faults = (Fault(verb="script", nth=1, kind=FaultKind.LOSE),)
    await running(world)
    await world.order(late(world, b"exit 0"))
    assert (await world.heard(VmFailed)).message == "startup script interrupted"


async def test_a_hypervisor_that_never_tells_of_its_end_is_not_waited_for(world: AgentWorld):
    world.faults = (Fault(verb="script", nth=1, kind=FaultKind.HANG),)
    await running(world)
    await world.order(late(world, b"exit 0", monitored=True, timeout=10))
    await until(lambda: world.vm().work.busy)
    for _ in range(80):
        await world.clock.advance(1)
    assert (await world.heard(VmFailed)).message == "startup script interrupted"


async def test_an_error_that_nobody_foresaw_has_failed_it(world: AgentWorld, monkeypatch):
    async def broken(*_given: Any, **_more: Any) -> None:
        raise RuntimeError("unforeseen")

    await running(world)
    monkeypatch.setattr(world.driver, "run_script", broken)
    await world.order(late(world, b"exit 0"))
    assert (await world.heard(VmFailed)).message == "startup script interrupted"


async def test_a_stop_ends_it(world: AgentWorld):
    await running(world)
    await world.order(late(world, b"sleep 30", monitored=True))
    await until(lambda: world.history("script"))
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    assert world.said(VmFailed) == world.said(VmScripted) == []
    assert await world.driver.list_vms() == []


async def test_a_late_order_or_one_of_a_late_leader_begins_nothing(world: AgentWorld):
    await world.start()
    await world.started(epoch=3)
    await world.order(late(world, b"exit 0", epoch=2))
    await world.heard(VmRefused)
    await world.order(late(world, b"exit 0", epoch=3, seconds=-1))
    await world.order(late(world, b"exit 0", epoch=3, attempt=2))
    (line,) = (await world.beat()).vms
    assert line.phase is VmPhase.RUNNING
    assert world.history("script") == []
