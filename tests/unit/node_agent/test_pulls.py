"""Pulls ahead of time: told, repeated, canceled, broken off and taken up again."""

from collections.abc import Callable
from typing import Any

from contracts.distributions import CancelPull, PullTemplate, TemplatePullReported
from contracts.vms import VmProgress, VmStarted
from node_agent.drivers.port import SourceDown
from node_agent.drivers.simulated_host import Delays, SimulatedHardware
from tests.agent_world import NODE, AgentWorld, a_template
from tests.clock import settle
from tests.waiting import until


def pull_order(world: AgentWorld, **fields: Any) -> PullTemplate:
    given = {
        "node_id": NODE,
        "deadline": world.run_vm(seconds=3600).deadline,
        "request_id": "d-1",
        "registry": "http://registry",
        "template": a_template(size=10),
    }
    return PullTemplate(**(given | fields))


def cancel_order(world: AgentWorld, request_id: str = "d-1") -> CancelPull:
    return CancelPull(node_id=NODE, deadline=world.run_vm().deadline, request_id=request_id)


def reports(world: AgentWorld) -> list[TemplatePullReported]:
    return world.said(TemplatePullReported)


def done(world: AgentWorld) -> Callable[[], bool]:
    return lambda: any(report.done for report in reports(world))


async def under_way(world: AgentWorld) -> None:
    """Have a pull of ten seconds under way."""
    world.delays = Delays(pull=10)
    await world.start()
    await world.order(pull_order(world))
    await until(lambda: reports(world))


async def test_a_template_is_pulled_ahead_of_time_with_progress(world: AgentWorld):
    await under_way(world)
    await world.clock.advance(10)
    await until(done(world))
    shares = [report.progress for report in reports(world)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) <= 12


async def test_a_repeated_order_joins_the_pull_and_is_told_how_far_it_is(world: AgentWorld):
    await under_way(world)
    await world.clock.advance(5.5)
    before = len(reports(world))
    await world.order(pull_order(world))
    await until(lambda: len(reports(world)) == before + 1)
    assert reports(world)[-1].progress == 0.5
    await world.clock.advance(5)
    await until(done(world))
    assert sum(report.done for report in reports(world)) == 1
    assert world.driver.faults.calls == {}


async def test_what_is_cached_is_done_at_once(world: AgentWorld):
    await under_way(world)
    await world.clock.advance(10)
    await until(done(world))
    await world.order(pull_order(world, request_id="d-2"))
    await until(lambda: reports(world)[-1].request_id == "d-2")
    assert [r.done for r in reports(world) if r.request_id == "d-2"] == [True]


async def test_a_pull_that_fails_or_is_too_late_says_so(world: AgentWorld):
    world.hardware = SimulatedHardware(disk_size=1000)
    await world.start()
    await world.order(pull_order(world, template=a_template(size=900)))
    await until(lambda: reports(world)[-1:] and reports(world)[-1].error)
    assert reports(world)[-1].error == "rejecting due to lack of disk space"
    late = pull_order(world, request_id="d-2", deadline=world.clock.now())
    await world.clock.advance(1)
    await world.order(late)
    await until(lambda: reports(world)[-1].error == "too late")


async def test_a_canceled_pull_ends_without_a_word(world: AgentWorld):
    world.delays = Delays(pull=10)
    await world.start()
    await world.order(pull_order(world), pull_order(world, request_id="d-2"))
    await until(lambda: len(reports(world)) == 2)
    await world.order(cancel_order(world), cancel_order(world, "d-2"), cancel_order(world, "d-3"))
    await settle()
    before = len(reports(world))
    await world.clock.advance(20)
    assert len(reports(world)) == before
    assert await world.driver.templates() == ()


async def test_a_canceled_pull_goes_on_for_another_request(world: AgentWorld):
    world.delays = Delays(pull=10)
    await world.start()
    await world.order(pull_order(world), pull_order(world, request_id="d-2"))
    await until(lambda: len(reports(world)) == 2)
    await world.order(cancel_order(world))
    await world.clock.advance(10)
    await until(done(world))
    assert [report.request_id for report in reports(world) if report.done] == ["d-2"]


async def test_a_canceled_pull_goes_on_for_a_start(world: AgentWorld):
    world.delays = Delays(pull=10)
    await world.start()
    template = a_template(size=10)
    await world.order(pull_order(world, template=template))
    await until(lambda: reports(world))
    await world.order(world.run_vm(template=template))
    await world.heard(VmProgress)
    await world.order(cancel_order(world))
    await settle()
    await world.clock.advance(10)
    await world.heard(VmStarted)
    assert not done(world)()


async def test_a_killed_agent_pulls_when_it_is_ordered_again(world: AgentWorld):
    await under_way(world)
    await world.kill()
    await world.start()
    await world.order(pull_order(world))
    await settle()
    await world.clock.advance(10)
    await until(done(world))


def breaking(world: AgentWorld, times: int) -> list[float]:
    """Have so many pulls break off half-way; when they were begun."""
    begun: list[float] = []

    def wrap(driver: Any) -> Any:
        real = driver.pull

        async def pull(template: Any, source: Any, progress: Callable[[float], None]) -> None:
            begun.append(world.clock.monotonic())
            progress(0.0)
            if len(begun) <= times:
                raise SourceDown("connection reset")
            await real(template, source, progress)

        driver.pull = pull
        return driver

    world.wrap = wrap
    return begun


async def test_a_pull_outlives_a_registry_that_is_away_for_a_while(world: AgentWorld):
    begun = breaking(world, 3)
    await world.start()
    await world.order(pull_order(world))
    await until(lambda: begun)
    for _ in range(10):
        await world.clock.advance(1)
    await until(done(world))
    assert begun == [0.0, 1.0, 3.0, 8.0]
    assert not any(report.error for report in reports(world))


async def test_a_registry_that_stays_away_is_an_error_in_the_end(world: AgentWorld):
    begun = breaking(world, 1000)
    await world.start()
    await world.order(pull_order(world))
    await until(lambda: begun)
    for _ in range(32):
        await world.clock.advance(10)
    await until(lambda: reports(world)[-1].error)
    assert reports(world)[-1].error == "connection reset"
    assert begun[-1] > 300
