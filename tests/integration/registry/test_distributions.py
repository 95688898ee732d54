"""Distributions by a real registry: real database, both buses, agents that are only heard."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.store.mongo import MongoStore
from contracts.distributions import CancelPull, DeleteTemplate, PullTemplate
from contracts.documents import say
from contracts.events import EventHappened, EventKind, EventType
from contracts.nodes import NodeState
from contracts.templates import RemoveTemplateFromNodes
from registry.distribution_store import DISTRIBUTIONS
from registry.domain.distribution import CANCELED
from registry.store import OUTBOX
from tests.distributions import (
    Desk,
    Ear,
    a_distribution,
    a_node,
    a_registry,
    a_report,
    by_node,
)
from tests.waiting import until


@pytest.fixture
async def desk(any_bus: Bus, own_store: MongoStore) -> Desk:
    return Desk(own_store, any_bus)


@pytest.fixture
async def ear(any_bus: Bus) -> AsyncIterator[Ear]:
    ear = Ear(any_bus)
    await ear.listen("events", "event.#")
    yield ear
    await ear.stop()


@pytest.fixture
async def registry(any_bus: Bus, own_store: MongoStore, tmp_path) -> AsyncIterator[str]:
    async with a_registry(own_store, any_bus, str(tmp_path / "registry")) as address:
        yield address


async def nodes(store: MongoStore, *documents) -> None:
    await store.insert("nodes", documents)


def kinds(ear: Ear) -> list[EventKind]:
    return [event.kind for event in ear.of(EventHappened)]


async def test_every_node_is_ordered_shown_and_done(registry, desk: Desk, ear: Ear):
    await nodes(
        desk.store,
        a_node("n1"),
        a_node("n2", drain=True, state=NodeState.DRAIN),
        a_node("n3", state=NodeState.UNHEALTHY),
        a_node("mac.example.org"),
        a_node("gone", remove=True),
    )
    await ear.be("n1", "n2", "n3", "mac.example.org", "gone")
    wish = a_distribution(registry="http://r", actor="me", request_id="r-1")
    await desk.ask(wish)
    await until(lambda: len(ear.pulls()) == 4)
    order = by_node(ear.of(PullTemplate))["n2"]
    assert (order.request_id, order.registry, order.template) == (
        "d-1",
        "http://r",
        wish.spec.template,
    )
    assert order.deadline > SystemClock().now() + timedelta(hours=3)
    said = [say(a_report("n1", 0.42)), say(a_report("mac.example.org", 1.0, done=True))]
    await desk.bus.publish(said)

    async def moved() -> bool:
        return (await desk.show()).status.nodes["n1"].progress == 0.42

    await until(moved)
    shown = await desk.show()
    assert set(shown.status.nodes) == {"n1", "n2", "n3", "mac.example.org"}
    assert shown.status.nodes["mac.example.org"].done
    assert not shown.pending
    last = [a_report("n1", 1.0, done=True), a_report("n2", 1.0, done=True)]
    await desk.bus.publish([say(r) for r in (*last, a_report("n3", 0.3, error="disk on fire"))])
    await until(desk.finished)
    await desk.bus.publish([say(a_report("n1", 0.5)), say(a_report("n1", 0.5, error="no"))])
    await until(lambda: len(kinds(ear)) == 6)
    asked = ear.of(EventHappened)[0]
    assert (asked.kind, asked.event_type, asked.actor, asked.request_id) == (
        EventKind.DISTRIBUTE_TEMPLATE_TO_NODES,
        EventType.API,
        "me",
        "r-1",
    )
    assert asked.fields == {
        "template_id": "template-1",
        "tag": "v1",
        "version": 0,
        "distribution_id": "d-1",
        "nodes": 4,
    }
    assert sorted(kinds(ear)[1:]) == sorted(
        [EventKind.TEMPLATE_PULLED] * 3
        + [EventKind.TEMPLATE_PULL_FAILED, EventKind.DISTRIBUTION_FINISHED]
    )
    assert len({event.id for event in ear.of(EventHappened)}) == 6
    done = (await desk.show()).status.nodes["n1"]
    assert (done.progress, done.done, done.error) == (1.0, True, "")


async def test_a_group_is_its_members_as_operators_set_them(registry, desk: Desk, ear: Ear):
    await nodes(
        desk.store,
        a_node("joined", groups=("g",)),
        a_node("moved-in", groups=()),
        a_node("moved-out", groups=("g",)),
    )
    for node_id, groups in (("moved-in", ["g"]), ("moved-out", [])):
        await desk.store.change(
            "nodes", type(a_node("x")), {"_id": node_id}, {"$set": {"spec.groups": groups}}
        )
    await ear.be("joined", "moved-in", "moved-out")
    await desk.ask(a_distribution(group_id="g"))
    await until(lambda: len(ear.pulls()) == 2)
    assert ear.pulls() == ["joined", "moved-in"]
    assert set((await desk.show()).status.nodes) == {"joined", "moved-in"}


async def test_a_cancellation_reaches_the_nodes_and_shows_as_documented(
    registry, desk: Desk, ear: Ear
):
    await nodes(desk.store, a_node("n1"), a_node("n2"), a_node("n3", state=NodeState.OFFLINE))
    await ear.be("n1", "n2", "n3")
    await desk.ask(a_distribution())
    await until(lambda: len(ear.pulls()) == 2)
    await desk.bus.publish([say(a_report("n1", 1.0, done=True)), say(a_report("n2", 0.04))])

    async def heard() -> bool:
        status = (await desk.show()).status
        return status.nodes["n1"].done and status.nodes["n2"].progress == 0.04

    await until(heard)
    await desk.cancel("d-1", actor="boss")
    await until(lambda: ear.of(CancelPull))
    assert [order.node_id for order in ear.of(CancelPull)] == ["n2"]
    pulls = (await desk.show()).status.nodes
    assert {id_: (p.done, p.progress, p.error) for id_, p in pulls.items()} == {
        "n1": (True, 1.0, ""),
        "n2": (False, 0.04, CANCELED),
        "n3": (False, 0.0, CANCELED),
    }
    await until(lambda: EventKind.DISTRIBUTION_CANCELED in kinds(ear))
    assert ear.of(EventHappened)[-1].actor == "boss"
    assert EventKind.DISTRIBUTION_FINISHED not in kinds(ear)
    assert EventKind.TEMPLATE_PULL_FAILED not in kinds(ear)
    await desk.bus.publish([say(a_report("n2", 0.1))])
    await until(lambda: len(ear.of(CancelPull)) == 2)
    assert (await desk.show()).status.nodes["n2"].progress == 0.04


async def test_a_node_that_pulls_for_nobody_is_told_to_stop(registry, desk: Desk, ear: Ear):
    await nodes(desk.store, a_node("n1"))
    await ear.be("n1")
    await desk.bus.publish([say(a_report("n1", 0.1, "forgotten"))])
    await until(lambda: ear.of(CancelPull))
    assert ear.of(CancelPull)[0].request_id == "forgotten"


async def test_an_offline_node_is_ordered_when_it_returns(registry, desk: Desk, ear: Ear):
    await nodes(desk.store, a_node("n1"), a_node("n2", state=NodeState.OFFLINE))
    await ear.be("n1", "n2")
    await desk.ask(a_distribution())
    await until(lambda: "n1" in ear.pulls())
    await desk.bus.publish([say(a_report("n1", done=True))])
    assert "n2" not in ear.pulls()
    await desk.set_state("n2", NodeState.ACTIVE)
    await until(lambda: "n2" in ear.pulls())
    assert not (await desk.show()).status.finished


async def test_what_no_message_told_of_is_found(registry, desk: Desk, ear: Ear):
    await nodes(desk.store, a_node("n1"))
    await ear.be("n1")
    await desk.store.insert(DISTRIBUTIONS, [a_distribution()])
    await until(lambda: ear.pulls() == ["n1"])


async def test_a_lost_order_is_sent_again_until_the_node_is_heard(registry, desk: Desk, ear: Ear):
    await nodes(desk.store, a_node("n1"))
    await desk.ask(a_distribution())

    async def ordered_again() -> bool:
        pulls = (await desk.show()).status.nodes
        return bool(pulls) and pulls["n1"].orders >= 2

    await until(ordered_again)
    await ear.be("n1")
    await until(ear.pulls)


async def test_two_registries_order_once_and_tell_once(
    registry, any_bus: Bus, own_store: MongoStore, desk: Desk, ear: Ear, tmp_path
):
    many = [f"n{number:02}" for number in range(40)]
    await nodes(own_store, *(a_node(node_id) for node_id in many))
    await ear.be(*many)
    patient = {"distribution_resend": 60.0, "distribution_parallel": 0}
    bases = [str(tmp_path / name) for name in ("one", "two")]
    async with (
        a_registry(own_store, any_bus, bases[0], **patient),
        a_registry(own_store, any_bus, bases[1], **patient),
    ):
        await desk.ask(a_distribution())
        await until(lambda: ear.pulls() == many)
        for node_id in many:
            await desk.bus.publish([say(a_report(node_id, 0.5)), say(a_report(node_id, done=True))])
        await until(desk.finished)
        await until(lambda: EventKind.DISTRIBUTION_FINISHED in kinds(ear))
    shown = await desk.show()
    assert all(pull.done for pull in shown.status.nodes.values())
    assert len({event.id for event in ear.of(EventHappened)}) == 42
    assert kinds(ear).count(EventKind.DISTRIBUTE_TEMPLATE_TO_NODES) == 1


async def test_a_finished_distribution_goes_after_a_week(registry, desk: Desk):
    await nodes(desk.store, a_node("n1"))
    old = a_distribution("old", created=SystemClock().now() - timedelta(days=9))
    await desk.store.insert(DISTRIBUTIONS, [old])

    async def chosen() -> bool:
        return bool((await desk.show("old")).status.nodes)

    await until(chosen)
    await desk.bus.publish([say(a_report("n1", 1.0, "old", done=True))])
    await until(lambda: desk.finished("old"))
    finished = SystemClock().now() - timedelta(days=8)
    change = {"$set": {"status.finished": finished}}
    await desk.store.change(DISTRIBUTIONS, type(old), {"_id": "old"}, change)

    async def gone() -> bool:
        return await desk.store.count(DISTRIBUTIONS, {"_id": "old"}) == 0

    await until(gone, 20)


async def test_removing_a_template_from_nodes_is_told_once(registry, desk: Desk, ear: Ear):
    await nodes(desk.store, a_node("n1"), a_node("n2"))
    await ear.be("n1", "n2")
    command = RemoveTemplateFromNodes(
        id="c-1", template_id="t", node_ids=("n1", "n2"), actor="me", request_id="r-9"
    )
    await desk.bus.publish([say(command)])
    await until(lambda: len(ear.of(DeleteTemplate)) == 2 and ear.of(EventHappened))

    async def confirmed() -> bool:
        return await desk.store.count(OUTBOX, {}) == 0

    await until(confirmed)
    await desk.bus.publish([say(command)])
    await until(lambda: len(ear.of(DeleteTemplate)) == 4)
    told = ear.of(EventHappened)
    assert {(e.kind, e.actor, e.request_id, e.subject) for e in told} == {
        (EventKind.TEMPLATE_REMOVED_FROM_NODES, "me", "r-9", "t")
    }
    assert len({event.id for event in told}) == 1
    assert told[0].fields == {"template_id": "t", "nodes": 2}
