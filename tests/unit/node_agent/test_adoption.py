"""An agent killed between any two steps, and the next one on the same journal and VMs.

The oracle is the simulated hypervisor's own list and history, which outlive the agent.
"""

import asyncio

import pytest

from contracts.nodes import NodeHello
from contracts.vms import VmFailed, VmGone, VmPhase, VmRestarted, VmStarted
from node_agent.drivers.port import VmSpec
from node_agent.drivers.simulated_host import Fault, FaultKind
from tests.agent_world import CLOUD, AgentWorld, a_template
from tests.clock import settle
from tests.traps import AFTER, BEFORE, Trap, killed_at, written
from tests.waiting import until


def started_once(world: AgentWorld) -> bool:
    """No instance was booted a second time beside or after its first VM."""
    starts = [line.instance_id for line in world.history("start")]
    return len(starts) == len(set(starts))


@pytest.mark.parametrize(
    ("verb", "point", "call"),
    [
        ("pull", BEFORE, 1),
        ("pull", AFTER, 1),
        ("clone", BEFORE, 1),
        ("clone", AFTER, 1),
        ("start", BEFORE, 1),
        ("start", AFTER, 1),
        ("sync", AFTER, 1),
        ("sync", BEFORE, 2),
        ("sync", AFTER, 2),
    ],
)
async def test_a_start_ends_in_exactly_one_vm_wherever_the_agent_is_killed(
    world: AgentWorld, verb: str, point: str, call: int
):
    await killed_at(world, Trap(verb, point, call), world.run_vm())

    started = await world.heard(VmStarted)

    (vm,) = await world.driver.list_vms()
    assert (vm.info.name, vm.info.status) == (started.info.name, "running")
    assert started_once(world)


async def test_an_order_that_was_not_durable_comes_again_and_starts_once(world: AgentWorld):
    order = world.run_vm()
    await killed_at(world, Trap("sync", BEFORE), order)
    await world.heard(VmStarted)  # the order was not acknowledged: the bus brought it again
    assert started_once(world)
    assert len(await world.driver.list_vms()) == 1


async def test_a_killed_agent_whose_start_is_too_late_by_now_fails_it(world: AgentWorld):
    trap = Trap("start", BEFORE)
    world.wrap = trap.driver
    await world.start()
    await world.order(world.run_vm(seconds=20))
    await asyncio.wait_for(trap.sprung.wait(), 10)
    await world.kill()
    await world.clock.advance(30)
    world.free()
    await world.start()
    failed = await world.heard(VmFailed)
    assert not failed.final
    assert await world.driver.list_vms() == []
    assert not world.history("start")


async def test_a_vm_that_was_booted_and_stopped_meanwhile_is_not_booted_again(world: AgentWorld):
    trap = Trap("start", AFTER)
    world.wrap = trap.driver
    await world.start()
    await world.order(world.run_vm())
    await asyncio.wait_for(trap.sprung.wait(), 10)
    name = world.vm().record.vm_name
    await world.kill()
    world.driver.power_off(name)
    world.free()
    await world.start()
    failed = await world.heard(VmFailed)
    assert failed.message == 'Unexpected VM state: "stopped"'
    assert len(world.history("start")) == 1
    assert await world.driver.list_vms() == []


async def test_running_vms_are_adopted_and_answer_to_orders(world: AgentWorld):
    await world.start()
    first = await world.started()
    await world.kill()
    hellos = len(world.said(NodeHello))
    await world.start()
    hello = await world.heard(NodeHello, hellos + 1)
    (line,) = hello.vms
    assert (line.phase, line.attempt, line.info.uuid) == (VmPhase.RUNNING, 1, first.info.uuid)
    assert hello.unknown == ()
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []


async def test_an_unconfirmed_report_is_said_again_by_the_next_agent(world: AgentWorld):
    trap = Trap("sync", AFTER, 2)
    await killed_at(world, trap, world.run_vm())
    await world.heard(VmStarted)
    await until(lambda: world.vm().record.confirmed)
    assert started_once(world)


async def test_a_confirmed_report_is_not_said_again(world: AgentWorld):
    await world.start()
    await world.started()
    await written(world)
    await world.kill()
    await world.start()
    await world.beat()
    assert len(world.said(VmStarted)) == 1


async def test_an_unconfirmed_start_past_its_validity_is_undone_by_the_next_agent(
    world: AgentWorld,
):
    trap = Trap("sync", AFTER, 2)
    world.trap = trap.journal
    await world.start()
    await world.order(world.run_vm(seconds=20))
    await asyncio.wait_for(trap.sprung.wait(), 10)
    await world.kill()
    await world.clock.advance(30)
    world.free()
    await world.start()
    failed = await world.heard(VmFailed)
    assert failed.message == "the start was not confirmed in time"
    assert await world.driver.list_vms() == []


@pytest.mark.parametrize("point", [BEFORE, AFTER])
async def test_a_stop_is_finished_by_the_next_agent(world: AgentWorld, point: str):
    await world.start()
    await world.started()
    await world.kill()
    await killed_at(world, Trap("delete", point), world.stop_vm())
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []
    await world.order(world.run_vm())
    await world.heard(VmGone, 2)
    assert started_once(world)


@pytest.mark.parametrize("point", [BEFORE, AFTER])
async def test_a_restart_is_not_done_twice_by_the_next_agent(world: AgentWorld, point: str):
    await world.start()
    await world.started()
    await world.kill()
    await world.clock.advance(1)
    order = world.reboot_vm(1)
    await killed_at(world, Trap("restart", point), order)
    await world.order(order)
    await world.heard(VmRestarted)
    assert len(world.history("restart")) == 1
    assert (await world.driver.info(world.vm().record.vm_name)).status == "running"


async def test_a_failure_is_remembered_across_a_kill(world: AgentWorld):
    world.faults = (Fault(verb="clone", nth=1, kind=FaultKind.CANNOT_HONOUR),)
    await world.start()
    await world.order(world.run_vm())
    first = await world.heard(VmFailed)
    await until(lambda: world.vm().record.confirmed)
    await written(world)
    await world.kill()
    world.faults = ()
    await world.start()
    await world.order(world.run_vm())
    assert (await world.heard(VmFailed, 2)).message == first.message
    assert not world.history()


async def test_superseded_attempts_of_this_cloud_are_deleted_and_others_are_not(
    world: AgentWorld,
):
    await world.start()
    await world.started(attempt=5)
    driver = world.driver
    for name, cloud, attempt in (
        ("old-attempt", CLOUD, 4),
        ("same-attempt", CLOUD, 5),
        ("newer-attempt", CLOUD, 6),
        ("other-cloud", "cloud-2", 4),
    ):
        spec = VmSpec(
            name=name, template=a_template(), cloud_id=cloud, instance_id="i-1", attempt=attempt
        )
        await driver.clone(spec)
    await world.kill()
    await world.start()
    left = {vm.info.name for vm in await world.driver.list_vms()}
    assert left == {
        world.vm().record.vm_name,
        "same-attempt",
        "newer-attempt",
        "other-cloud",
    }


async def test_an_orderly_end_leaves_vms_running_and_nothing_to_repair(world: AgentWorld):
    await world.start()
    await world.started()
    await world.stop()
    await world.start()
    await settle()
    assert [vm.info.status for vm in await world.driver.list_vms()] == ["running"]
    assert started_once(world)
    assert len(world.said(VmStarted)) == 1
