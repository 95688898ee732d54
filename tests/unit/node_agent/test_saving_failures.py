"""A save that fails, or cannot be begun: the VM runs on, and why is said."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from contracts.images import ImagePushed
from contracts.vms import Script, VmGone, VmPhase, VmRefused
from node_agent.drivers.port import Capability, VmDriver
from node_agent.drivers.simulated_host import Delays, Fault, FaultKind
from node_agent.host import Limits
from tests.agent_world import AgentWorld
from tests.clock import settle
from tests.oci_registry import FakeRegistry
from tests.traps import written
from tests.waiting import until


async def status(world: AgentWorld) -> str:
    return (await world.driver.info(world.vm().record.vm_name)).status


def verbs(world: AgentWorld) -> list[str]:
    """What was done to the VM after its start."""
    return [line.verb for line in world.history()][2:]


def breaking(verb: str, call: int) -> Callable[[VmDriver], VmDriver]:
    """A driver whose verb fails at this call, as no driver says that it may."""

    def wrap(driver: VmDriver) -> VmDriver:
        real, calls = getattr(driver, verb), count(1)

        async def broken(*args: Any, **given: Any) -> Any:
            if next(calls) == call:
                raise MemoryError("out of it")
            return await real(*args, **given)

        setattr(driver, verb, broken)
        return driver

    return wrap


async def test_a_failed_script_can_call_the_save_off_and_the_vm_is_untouched(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    script = Script(body=b"exit 1")
    await world.order(
        world.push_image(registry.address, script=script, cancel_on_script_failure=True)
    )
    pushed = await world.heard(ImagePushed)
    assert (pushed.error, pushed.script_failed) == ("Script execution failed", True)
    assert pushed.script_result
    assert pushed.script_result.return_code == 1
    assert pushed.info
    assert (pushed.info.status, pushed.info.node_id) == ("running", "node-1")
    assert verbs(world) == ["script"]
    assert registry.asked == []
    assert (await world.beat()).vms[0].phase is VmPhase.RUNNING


@pytest.mark.parametrize(("suspend", "again"), [(True, "resume"), (False, "start")])
async def test_a_vm_whose_push_is_refused_runs_on(
    world: AgentWorld, registry: FakeRegistry, suspend: bool, again: str
):
    await world.start()
    await world.started()
    registry.refuse = 413
    await world.order(world.push_image(registry.address, suspend=suspend))
    pushed = await world.heard(ImagePushed)
    assert "413" in pushed.error
    assert pushed.digest == ""
    assert pushed.info
    assert pushed.info.status == "running"
    assert verbs(world)[-1] == again
    assert (await world.beat()).vms[0].phase is VmPhase.RUNNING
    registry.refuse = 0
    await world.order(world.push_image(registry.address, "r-2", suspend=suspend))
    assert (await world.heard(ImagePushed, 2)).digest


async def test_a_vm_that_cannot_be_saved_runs_on(world: AgentWorld, registry: FakeRegistry):
    world.faults = (Fault(verb="save", nth=1),)
    await world.start()
    await world.started()
    await world.order(world.push_image(registry.address))
    pushed = await world.heard(ImagePushed)
    assert pushed.error == "simulated host-fault of save number 1"
    assert await status(world) == "running"


async def test_a_failure_says_so_when_the_vm_does_not_run_again(
    world: AgentWorld, registry: FakeRegistry
):
    world.faults = (Fault(verb="start", nth=2),)
    await world.start()
    await world.started()
    registry.refuse = 400
    await world.order(world.push_image(registry.address))
    pushed = await world.heard(ImagePushed)
    assert "could not be started again: simulated host-fault of start number 2" in pushed.error
    assert pushed.info
    assert pushed.info.status == "suspended"
    assert (await world.beat()).vms[0].phase is VmPhase.STOPPED


@pytest.mark.parametrize(
    ("verb", "call", "refuse", "error"),
    [
        ("pull", 2, 0, ""),
        ("info", 1, 0, ""),
        ("save", 1, 0, "the agent met an error that it does not know"),
        ("start", 2, 400, "could not be started again: the agent met an error"),
    ],
)
async def test_a_save_has_an_outcome_when_the_host_fails_in_a_way_that_nobody_expects(
    world: AgentWorld, registry: FakeRegistry, verb: str, call: int, refuse: int, error: str
):
    world.wrap = breaking(verb, call)
    await world.start()
    await world.started()
    registry.refuse = refuse
    await world.order(world.push_image(registry.address))
    pushed = await world.heard(ImagePushed)
    assert error in pushed.error
    assert bool(pushed.digest) == (not error)
    assert world.vm().record.saving is None


async def test_a_vm_that_takes_as_long_as_its_memory_may_runs_on(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    await written(world)
    await world.kill()
    limits = Limits()
    world.delays = Delays(start=limits.start + limits.state - 1)
    await world.start()
    registry.refuse = 400
    await world.order(world.push_image(registry.address))
    await until(lambda: world.vm().record.pushes and world.vm().record.pushes[-1].error)
    await world.clock.advance(limits.start + 1)
    await world.clock.advance(limits.state)
    assert "could not be started again" not in (await world.heard(ImagePushed)).error
    assert await status(world) == "running"


async def test_a_save_that_hangs_is_given_up_and_the_vm_runs_on(
    world: AgentWorld, registry: FakeRegistry
):
    world.faults = (Fault(verb="save", nth=1, kind=FaultKind.HANG),)
    await world.start()
    await world.started()
    await world.order(world.push_image(registry.address))
    await until(lambda: world.driver.faults.calls["save"])
    await world.clock.advance(1900)
    pushed = await world.heard(ImagePushed)
    assert pushed.error == "saving took too long"
    assert await status(world) == "running"


async def test_a_save_is_given_up_when_its_time_is_over(world: AgentWorld, registry: FakeRegistry):
    await world.start()
    await world.started()
    registry.open.clear()
    until_then = world.clock.now() + (world.push_image("").deadline - world.clock.now()) / 2
    await world.order(world.push_image(registry.address, valid_until=until_then))
    await until(lambda: ("POST", "/v2/image/blobs/uploads/") in registry.asked)
    await world.clock.advance(31)
    assert (await world.heard(ImagePushed)).error == "saving took too long"
    assert await status(world) == "running"


async def test_a_failed_request_is_not_begun_again_by_a_late_repeat(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    registry.refuse = 400
    order = world.push_image(registry.address)
    await world.order(order)
    first = await world.heard(ImagePushed)
    registry.refuse = 0
    await world.order(order)
    assert (await world.heard(ImagePushed, 2)).error == first.error
    assert verbs(world) == ["suspend", "resume"]


async def test_a_stop_ends_a_save_wherever_it_is(world: AgentWorld, registry: FakeRegistry):
    await world.start()
    await world.started()
    registry.open.clear()
    await world.order(world.push_image(registry.address))
    await until(lambda: registry.asked)
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []
    await world.order(world.push_image(registry.address))
    assert (await world.heard(ImagePushed)).error == "the VM does not run"
    assert registry.manifests == {}


async def test_what_cannot_be_saved_is_answered_at_once(world: AgentWorld, registry: FakeRegistry):
    await world.start()
    await world.order(world.push_image(registry.address, "r-0"))
    assert (await world.heard(ImagePushed)).error == "Not found"
    await world.started(epoch=2)
    await world.order(world.push_image(registry.address))
    refused = await world.heard(VmRefused)
    assert (refused.known_attempt, refused.known_epoch) == (1, 2)
    past = world.clock.now()
    await world.clock.advance(1)
    await world.order(world.push_image(registry.address, "r-2", epoch=2, deadline=past))
    world.driver.power_off(world.vm().record.vm_name)
    await world.beat()
    await world.order(world.push_image(registry.address, "r-3", epoch=2))
    answer = await world.heard(ImagePushed, 2)
    assert (answer.request_id, answer.error) == ("r-3", "the VM does not run")
    assert registry.asked == []


async def test_a_refused_save_stays_refused_and_a_late_order_is_left_to_its_repeat(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    info = (await world.started()).info
    past = world.clock.now()
    await world.clock.advance(1)
    await world.order(world.push_image(registry.address, "late", deadline=past))
    world.driver.power_off(info.name)
    await world.beat()
    await world.order(world.push_image(registry.address, "r-1"))
    refused = await world.heard(ImagePushed)
    assert (refused.request_id, refused.error) == ("r-1", "the VM does not run")
    await world.driver.start(info.name)
    await world.beat()
    await world.order(world.push_image(registry.address, "r-1"))
    assert (await world.heard(ImagePushed, 2)).error == "the VM does not run"
    await world.order(world.push_image(registry.address, "late"))
    assert (await world.heard(ImagePushed, 3)).digest


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        (Capability.COMMIT, "saving images is not supported by the simulated driver"),
        (Capability.SUSPEND, "suspending is not supported by the simulated driver"),
    ],
)
async def test_what_the_driver_cannot_do_is_said(
    world: AgentWorld, registry: FakeRegistry, lacking: Capability, message: str
):
    await world.start()
    await world.started()
    world.driver.capabilities = world.driver.capabilities - {lacking}  # type: ignore[misc]
    await world.order(world.push_image(registry.address))
    assert (await world.heard(ImagePushed)).error == message


async def test_a_save_waits_for_nothing_that_is_under_way(
    world: AgentWorld, registry: FakeRegistry
):
    """An order that comes during a restart is not taken; the scheduler repeats it."""
    await world.start()
    await world.started()
    await world.kill()
    world.delays = Delays(start=5)
    await world.start()
    await world.order(world.reboot_vm())
    await until(lambda: world.vm().work.busy)
    await world.order(world.push_image(registry.address))
    await settle()
    assert world.vm().record.pushes == ()

    async def restarted() -> bool:
        await world.clock.advance(6)
        return not world.vm().work.busy

    await until(restarted)
    await world.order(world.push_image(registry.address))
    assert (await world.heard(ImagePushed)).digest
