"""An agent killed at any step of a save; the next one brings the request to an outcome."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from contracts.images import ImagePushed
from contracts.vms import Script, VmPhase
from node_agent.domain.push import Push
from node_agent.domain.record import Record
from tests.agent_world import NODE, AgentWorld
from tests.clock import START, ManualClock, settle
from tests.oci_registry import FakeRegistry
from tests.traps import AFTER, BEFORE, Trap, killed_at, written
from tests.waiting import until

SCRIPT = Script(body=b"echo begun")


@pytest.fixture
async def unheard(
    clock: ManualClock, memory_bus: MemoryBus, tmp_path: Path
) -> AsyncIterator[AgentWorld]:
    """An agent whose reports no queue takes, so that none is ever confirmed."""
    world = AgentWorld(clock, memory_bus, tmp_path)
    yield world
    await world.stop()


async def outcome(world: AgentWorld, registry: FakeRegistry) -> ImagePushed:
    """How the request ended; the VM is as that says, and the script was begun once at most."""
    pushed = await world.heard(ImagePushed)
    [listed] = await world.driver.list_vms()
    assert listed.info.status == ("suspended" if pushed.digest else "running")
    assert bool(pushed.digest) == bool(registry.manifests) != bool(pushed.error)
    assert len(world.history("script")) <= 1
    return pushed


@pytest.mark.parametrize(
    ("verb", "point", "call", "error"),
    [
        ("run_script", BEFORE, 1, "the script was interrupted"),
        ("run_script", AFTER, 1, "the script was interrupted"),
        ("save", BEFORE, 1, ""),
        ("save", AFTER, 1, ""),
        ("pull", AFTER, 1, ""),
        ("sync", AFTER, 1, ""),
        ("sync", AFTER, 2, "the script was interrupted"),
        ("sync", AFTER, 3, ""),
        ("sync", AFTER, 4, ""),
        ("sync", AFTER, 5, ""),
    ],
)
async def test_a_save_has_one_outcome_wherever_the_agent_is_killed(
    world: AgentWorld, registry: FakeRegistry, verb: str, point: str, call: int, error: str
):
    await world.start()
    await world.started()
    await written(world)
    await world.kill()
    order = world.push_image(registry.address, script=SCRIPT)
    await killed_at(world, Trap(verb, point, call), order)
    assert (await outcome(world, registry)).error == error


@pytest.mark.parametrize(("verb", "point"), [("start", BEFORE), ("start", AFTER)])
async def test_a_failed_save_is_ended_by_the_next_agent_and_not_tried_again(
    world: AgentWorld, registry: FakeRegistry, verb: str, point: str
):
    registry.refuse = 413
    await world.start()
    await world.started()
    await written(world)
    await world.kill()
    await killed_at(world, Trap(verb, point), world.push_image(registry.address))
    registry.refuse = 0
    assert "413" in (await outcome(world, registry)).error


async def test_an_order_that_was_not_durable_comes_again_and_is_carried_out_once(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    await written(world)
    await world.kill()
    order = world.push_image(registry.address, script=SCRIPT)
    await killed_at(world, Trap("sync", BEFORE), order)
    assert (await outcome(world, registry)).digest
    assert len(world.history("suspend")) == 1


async def test_an_outcome_that_was_heard_is_told_again_only_to_who_asks(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    order = world.push_image(registry.address)
    await world.order(order)
    await world.heard(ImagePushed)
    await until(lambda: world.vm().record.pushes[-1].confirmed)
    await written(world)
    await world.kill()
    await world.start()
    await settle()
    assert len(world.said(ImagePushed)) == 1
    await world.order(order)
    assert (await world.heard(ImagePushed, 2)).digest
    assert len(world.history("suspend")) == 1


async def test_a_vm_that_is_saved_is_known_to_run_though_its_start_was_never_confirmed(
    unheard: AgentWorld, registry: FakeRegistry
):
    world = unheard
    await world.start()
    await world.order(world.run_vm(seconds=20))
    await until(lambda: world.history("start"))
    await until(lambda: world.vm().record.report)
    registry.open.clear()
    await world.order(world.push_image(registry.address))
    await until(lambda: registry.asked)
    await world.clock.advance(30)
    assert world.vm().phase is VmPhase.SAVING
    await world.kill()
    await world.start()
    registry.open.set()
    await until(lambda: world.vm().record.pushes[-1].outcome)
    outcome = world.vm().record.pushes[-1].outcome
    assert outcome
    assert outcome.digest
    assert len(await world.driver.list_vms()) == 1


async def test_a_save_that_has_no_outcome_is_not_hidden_by_a_newer_one_that_has(
    world: AgentWorld,
):
    first, second, third = (Push(order=world.push_image("", name)) for name in ("1", "2", "3"))
    refused = ImagePushed(
        node_id=NODE, at=START, request_id="2", instance_id="i-1", attempt=1, error="no"
    )
    record = Record(node_id=NODE, instance_id="i-1", attempt=1)
    record = record.with_push(first).with_push(second.with_(outcome=refused))
    assert record.saving == first
    assert record.with_push(third).saving == third
