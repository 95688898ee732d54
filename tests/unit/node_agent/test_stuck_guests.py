"""The watch for guests that do not answer."""

from contracts.vms import VmFailed, VmGone, VmPhase
from node_agent.drivers.simulated_host import Delays, Fault
from tests.agent_world import AgentWorld
from tests.waiting import until

WATCH = {"enable_vm_monitor": True, "vm_stuck_delay": 30, "vm_stuck_timeout": 10}


async def seconds(world: AgentWorld, number: int) -> None:
    for _ in range(number):
        await world.clock.advance(1)


async def test_a_guest_that_does_not_answer_is_failed_and_stays_until_it_is_stopped(
    world: AgentWorld,
):
    world.delays = Delays(script=100)
    await world.start(**WATCH)
    await world.started()
    await seconds(world, 41)
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final, failed.vm_left) == (
        "the guest does not answer",
        True,
        True,
    )
    assert failed.info.status == "running"
    assert (await world.beat()).vms[0].phase is VmPhase.FAILED
    await seconds(world, 60)
    assert len(world.said(VmFailed)) == 1
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []


async def test_a_guest_that_answers_goes_on(world: AgentWorld):
    await world.start(**WATCH)
    await world.started()
    await seconds(world, 65)
    await until(lambda: len(world.history("script")) == 2)
    assert world.said(VmFailed) == []
    assert (await world.beat()).vms[0].phase is VmPhase.RUNNING


async def test_a_broken_channel_counts_as_no_answer_while_the_vm_runs(world: AgentWorld):
    world.faults = (Fault(verb="script", nth=1),)
    await world.start(**WATCH)
    await world.started()
    await seconds(world, 31)
    assert (await world.heard(VmFailed)).message == "the guest does not answer"


async def test_without_the_flag_no_guest_is_asked(world: AgentWorld):
    await world.start()
    await world.started()
    await seconds(world, 100)
    assert world.history("script") == []
