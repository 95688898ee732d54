"""Which starts are obeyed: fencing, repeats, attempts that replace each other."""

from datetime import timedelta

import pytest

from contracts.vms import (
    VmFailed,
    VmProgress,
    VmRefused,
    VmStarted,
)
from node_agent.domain.fencing import Answer, answer_run
from node_agent.domain.record import Record
from node_agent.drivers.simulated_host import Delays, Fault
from tests.agent_world import AgentWorld
from tests.clock import START
from tests.waiting import until

KNOWN = Record(node_id="n", instance_id="i-1", attempt=3, epoch=5)


@pytest.mark.parametrize(
    ("known", "attempt", "epoch", "late", "answer"),
    [
        (None, 1, 1, False, Answer.ACCEPT),
        (None, 1, 1, True, Answer.TOO_LATE),
        (KNOWN, 3, 5, False, Answer.REPEAT),
        (KNOWN, 3, 6, True, Answer.REPEAT),
        (KNOWN, 3, 4, False, Answer.REFUSE),
        (KNOWN, 2, 5, False, Answer.REFUSE),
        (KNOWN, 4, 4, False, Answer.REFUSE),
        (KNOWN, 4, 5, False, Answer.ACCEPT),
        (KNOWN, 4, 5, True, Answer.TOO_LATE),
        (KNOWN.with_(stopped=3), 3, 5, False, Answer.GONE),
        (KNOWN.with_(stopped=3), 2, 1, False, Answer.GONE),
        (KNOWN.with_(stopped=3), 4, 5, False, Answer.ACCEPT),
        (KNOWN.with_(stopped=2), 3, 5, False, Answer.REPEAT),
    ],
)
def test_every_run_order_has_an_answer(
    world: AgentWorld, known: Record | None, attempt: int, epoch: int, late: bool, answer: Answer
):
    run = world.run_vm(attempt=attempt, epoch=epoch)
    now = START + timedelta(seconds=61 if late else 0)
    assert answer_run(known, run, now) is answer


async def test_the_same_order_again_repeats_the_report_and_starts_nothing(world: AgentWorld):
    await world.start()
    await world.started()
    await world.order(world.run_vm(), world.run_vm())
    again = await world.heard(VmStarted, 2)
    assert again.info.name == world.said(VmStarted)[0].info.name
    assert len(world.history("start")) == 1


async def test_the_same_order_again_while_under_way_tells_how_far_it_is(world: AgentWorld):
    world.delays = Delays(start=10)
    await world.start()
    await world.order(world.run_vm(), world.run_vm())
    progress = await world.heard(VmProgress)
    assert progress.attempt == 1
    await until(lambda: world.history("clone"))
    await world.clock.advance(10)
    await world.heard(VmStarted)
    assert len(world.history("start")) == 1


async def test_a_failure_is_repeated_for_the_same_order(world: AgentWorld):
    world.faults = (Fault(verb="start", nth=1),)
    await world.start()
    await world.order(world.run_vm())
    await world.heard(VmFailed)
    await world.order(world.run_vm())
    await world.heard(VmFailed, 2)
    assert len(world.history("clone")) == 1


async def test_an_older_epoch_or_attempt_is_refused(world: AgentWorld):
    await world.start()
    await world.started(attempt=2, epoch=2)
    await world.order(world.run_vm(attempt=2, epoch=1), world.run_vm(attempt=1, epoch=2))
    await world.heard(VmRefused, 2)
    assert {(r.attempt, r.known_attempt, r.known_epoch) for r in world.said(VmRefused)} == {
        (2, 2, 2),
        (1, 2, 2),
    }
    assert len(world.history("start")) == 1


async def test_a_newer_attempt_replaces_the_older_vm(world: AgentWorld):
    await world.start()
    first = await world.started()
    await world.order(world.run_vm(attempt=2, epoch=2))
    second = await world.heard(VmStarted, 2)
    assert second.attempt == 2
    (vm,) = await world.driver.list_vms()
    assert vm.info.name == second.info.name != first.info.name
    verbs = [(line.verb, line.attempt) for line in world.history()]
    assert verbs.index(("delete", 1)) < verbs.index(("clone", 2))


async def test_a_newer_attempt_replaces_one_under_way(world: AgentWorld):
    world.delays = Delays(start=30)
    await world.start()
    await world.order(world.run_vm())
    await until(lambda: world.history("clone"))
    await world.order(world.run_vm(attempt=2))
    await until(lambda: len(world.history("clone")) == 2)
    await world.clock.advance(30)
    assert (await world.heard(VmStarted)).attempt == 2
    assert [line.attempt for line in world.history("start")] == [2]


async def test_a_batch_for_many_instances_is_journalled_with_few_fsyncs(
    world: AgentWorld, monkeypatch: pytest.MonkeyPatch
):
    import os

    await world.start()
    calls = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (calls.append(file), real(file)))
    await world.order(*(world.run_vm(f"i-{number}") for number in range(100)))
    await world.heard(VmStarted, 100)
    assert len(calls) < 20


async def test_an_older_vm_that_cannot_be_deleted_sends_the_start_elsewhere(world: AgentWorld):
    world.faults = tuple(Fault(verb="delete", nth=number) for number in range(1, 4))
    await world.start()
    await world.started()
    await world.order(world.run_vm(attempt=2))
    await until(lambda: world.vm().record.leftovers)
    for _ in range(10):
        await world.clock.advance(1)
    failed = await world.heard(VmFailed)
    assert not failed.final
    assert "cannot be deleted" in failed.message
    assert [line.attempt for line in world.history("start")] == [1]
