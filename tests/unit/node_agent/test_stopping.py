"""Stops in every phase, tombstones, restarts."""

import asyncio
from datetime import timedelta

import pytest

from contracts.vms import (
    Script,
    VmFailed,
    VmGone,
    VmPhase,
    VmRefused,
    VmRestarted,
    VmStarted,
)
from node_agent.drivers.simulated_host import Delays, Fault, FaultKind
from node_agent.journal import Journal
from tests.agent_world import AgentWorld
from tests.clock import settle
from tests.waiting import until


@pytest.mark.parametrize("delays", [Delays(pull=30), Delays(clone=30), Delays(start=30)])
async def test_a_stop_ends_a_start_wherever_it_is(world: AgentWorld, delays: Delays):
    world.delays = delays
    await world.start()
    await world.order(world.run_vm())
    await until(lambda: world.agent.nodes["node-1"].vms.get("i-1"))
    await until(lambda: world.clock.sleepers >= 4)
    await world.order(world.stop_vm())
    gone = await world.heard(VmGone)
    assert gone.attempt == 1
    await world.clock.advance(100)
    assert await world.driver.list_vms() == []
    assert world.said(VmStarted) == []
    assert world.said(VmFailed) == []


async def test_a_stop_ends_a_script(world: AgentWorld):
    await world.start()
    await world.order(world.run_vm(script=Script(body=b"sleep 50", monitored=True)))
    await until(lambda: world.history("script"))
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []
    assert world.said(VmFailed) == []


async def test_a_stop_is_always_answered_even_for_what_was_never_here(world: AgentWorld):
    await world.start()
    await world.order(world.stop_vm("i-7", attempt=4))
    assert (await world.heard(VmGone)).attempt == 4
    await world.order(world.stop_vm("i-7", attempt=4))
    await world.heard(VmGone, 2)


async def test_a_stop_is_answered_after_its_deadline_too(world: AgentWorld):
    await world.start()
    await world.started()
    stop = world.stop_vm(deadline=world.clock.now() - timedelta(hours=1))
    await world.order(stop)
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []


async def test_vm_gone_is_said_only_after_the_vm_is_really_gone(world: AgentWorld):
    world.faults = tuple(Fault(verb="delete", nth=number) for number in range(1, 5))
    await world.start()
    await world.started()
    await world.order(world.stop_vm())
    await until(lambda: world.vm().phase is VmPhase.STOPPING)
    await settle()
    assert world.said(VmGone) == []
    assert (await world.beat()).vms[0].phase is VmPhase.STOPPING
    for _ in range(25):
        await world.clock.advance(1)
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []


async def test_a_tombstone_keeps_late_orders_from_starting_anything(world: AgentWorld):
    await world.start()
    await world.order(world.stop_vm(attempt=2))
    await world.heard(VmGone)
    await world.order(world.run_vm(attempt=1), world.run_vm(attempt=2, epoch=9))
    await world.heard(VmGone, 3)
    assert world.history() == []
    await world.order(world.run_vm(attempt=3))
    assert (await world.heard(VmStarted)).attempt == 3


async def test_a_tombstone_lives_ten_minutes_beyond_its_deadline(world: AgentWorld):
    await world.start()
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    node = world.agent.nodes["node-1"]
    await world.clock.advance(60 + 9 * 60)
    assert node.vms.get("i-1") is not None
    await world.clock.advance(3 * 60)
    assert node.vms.get("i-1") is None


async def test_a_stop_for_an_older_attempt_leaves_the_newer_vm(world: AgentWorld):
    await world.start()
    await world.started(attempt=2)
    await world.order(world.stop_vm(attempt=1))
    assert (await world.heard(VmGone)).attempt == 1
    assert len(await world.driver.list_vms()) == 1


async def test_a_restart_happens_once_for_each_number(world: AgentWorld):
    await world.start()
    started = await world.started()
    await world.clock.advance(1)
    await world.order(world.reboot_vm(1))
    done = await world.heard(VmRestarted)
    assert (done.number, done.error) == (1, "")
    assert done.info.start_date > started.info.start_date
    assert done.info.port_forwarding == started.info.port_forwarding
    await world.order(world.reboot_vm(1), world.reboot_vm(2))
    await world.heard(VmRestarted, 3)
    assert len(world.history("restart")) == 2
    assert (await world.beat()).vms[0].restarts == 2


async def test_a_restart_that_fails_says_why(world: AgentWorld):
    world.faults = (Fault(verb="start", nth=2, kind=FaultKind.HOST_FAULT),)
    await world.start()
    await world.started()
    await world.order(world.reboot_vm(1))
    assert "simulated host-fault" in (await world.heard(VmRestarted)).error


async def test_a_restart_of_nothing_or_of_an_old_attempt_is_refused(world: AgentWorld):
    await world.start()
    await world.order(world.reboot_vm(1, "i-9"))
    assert (await world.heard(VmRestarted)).error == "Not found"
    await world.started(attempt=2)
    await world.order(world.reboot_vm(1, attempt=1))
    await world.heard(VmRefused)
    assert world.history("restart") == []


async def test_a_restart_past_its_deadline_is_ignored(world: AgentWorld):
    await world.start()
    await world.started()
    await world.order(world.reboot_vm(1, deadline=world.clock.now() - timedelta(seconds=1)))
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    assert world.history("restart") == []


async def test_a_stop_and_a_newer_start_together_are_both_answered(world: AgentWorld):
    await world.start()
    await world.started()
    await world.order(world.stop_vm(), world.run_vm(attempt=2))
    assert (await world.heard(VmGone)).attempt == 1
    assert (await world.heard(VmStarted, 2)).attempt == 2
    assert [vm.attempt for vm in await world.driver.list_vms()] == [2]


async def test_a_start_and_its_stop_together_leave_nothing(world: AgentWorld):
    await world.start()
    await world.order(world.run_vm(), world.stop_vm(), world.stop_vm())
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []
    assert world.said(VmStarted) == []


@pytest.mark.parametrize("newer", ["start", "stop"])
async def test_what_ends_while_a_newer_order_is_being_written_does_not_count(
    world: AgentWorld, newer: str
):
    world.delays = Delays(start=10)
    await world.start()
    await world.order(world.run_vm())
    await until(lambda: world.history("clone"))
    journal = world.part(Journal)
    real, written = journal.sync, asyncio.Event()

    async def slow_disk() -> None:
        await written.wait()
        await real()

    journal.sync = slow_disk
    await world.order(world.run_vm(attempt=2) if newer == "start" else world.stop_vm())
    await settle()
    await world.clock.advance(10)
    written.set()
    if newer == "start":
        await until(lambda: len(world.history("clone")) == 2)
        await world.clock.advance(10)
        started = await world.heard(VmStarted)
        assert (started.attempt, started.info.name) == (2, world.vm().record.vm_name)
        assert [vm.attempt for vm in await world.driver.list_vms()] == [2]
    else:
        await world.heard(VmGone)
        assert world.said(VmStarted) == []
        assert await world.driver.list_vms() == []
