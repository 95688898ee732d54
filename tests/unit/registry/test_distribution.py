"""How a distribution moves, decided without input and output."""

from datetime import timedelta

import msgspec
import pytest

from contracts.distributions import (
    DistributionDocument,
    DistributionSpec,
    DistributionStatus,
    NodePull,
    TemplatePullReported,
)
from registry.domain.distribution import (
    CANCELED,
    GONE,
    UNKNOWN,
    Limits,
    Node,
    advanced,
    ordered,
    over_for,
    reported,
    stopped,
    targets,
)
from tests.agent_world import a_template
from tests.clock import START

LIMITS = Limits(timeout=timedelta(seconds=100), resend=timedelta(seconds=10))


def at(seconds: float):
    return START + timedelta(seconds=seconds)


def nodes(*ids: str, **fields) -> dict[str, Node]:
    return {id_: Node(id=id_, queue=id_, **fields) for id_ in ids}


def report(node_id: str, progress: float = 0.0, **fields) -> TemplatePullReported:
    return TemplatePullReported(
        request_id="d", node_id=node_id, at=START, progress=progress, **fields
    )


class Moving:
    """A distribution that keeps what each step made of it."""

    def __init__(self, limits: Limits = LIMITS, **spec) -> None:
        self.limits = limits
        self.document = DistributionDocument(
            id="d",
            created=START,
            pending=True,
            spec=DistributionSpec(template=a_template(), **spec),
            status=DistributionStatus(changed=START),
        )

    def wish(self, **changes) -> None:
        spec = msgspec.structs.replace(self.document.spec, **changes)
        generation = self.document.generation + 1
        self.document = msgspec.structs.replace(self.document, spec=spec, generation=generation)

    def advance(self, known: dict[str, Node], seconds: float = 0) -> list[str]:
        """The nodes that get an order."""
        new = advanced(self.document, known, self.limits, at(seconds))
        sent = ordered(self.status, new)
        self.canceled = stopped(self.status, new)
        self.document = msgspec.structs.replace(self.document, status=new)
        return sent

    def report(self, *reports: TemplatePullReported, seconds: float = 0) -> None:
        status = reported(self.document, reports, at(seconds))
        self.document = msgspec.structs.replace(self.document, status=status)

    @property
    def status(self) -> DistributionStatus:
        return self.document.status

    @property
    def pulls(self) -> dict[str, NodePull]:
        return self.status.nodes


@pytest.mark.parametrize(
    ("spec", "chosen"),
    [
        ({}, ["a", "b", "c"]),
        ({"group_id": "g"}, ["a", "b"]),
        ({"group_id": "empty"}, []),
        ({"node_ids": ("c",)}, ["c"]),
        ({"node_ids": ("c",), "group_id": "g"}, ["c"]),
    ],
)
def test_the_tag_goes_to_chosen_nodes_else_a_group_else_all(spec, chosen):
    known = [
        Node(id="a", queue="", groups=("g",), online=False),
        Node(id="b", queue="", groups=("f", "g")),
        Node(id="c", queue=""),
    ]
    assert list(targets(DistributionSpec(template=a_template(), **spec), known)) == chosen


def test_a_node_that_does_not_exist_is_shown_with_an_error():
    moving = Moving(node_ids=("a", "nobody"))
    assert moving.advance(nodes("a")) == ["a"]
    assert moving.pulls["nobody"].error == UNKNOWN


def test_nobody_to_send_to_is_finished_at_once():
    moving = Moving()
    moving.advance({}, 1)
    assert moving.status.finished == at(1)


def test_all_are_done_and_then_it_is_finished():
    moving = Moving()
    assert moving.advance(nodes("a", "b")) == ["a", "b"]
    moving.report(report("a", 0.4), report("b", 1.0, done=True), seconds=1)
    assert (moving.pulls["a"].progress, moving.status.finished) == (0.4, None)
    moving.report(report("a", 0.9, done=True), seconds=2)
    assert (moving.pulls["a"].progress, moving.pulls["a"].done) == (1.0, True)
    assert moving.status.finished == at(2)


def test_what_ended_stays_as_it_ended():
    moving = Moving()
    moving.advance(nodes("a", "b"))
    moving.report(report("a", done=True), report("b", 0.5, error="no space"))
    status = moving.status
    moving.report(report("a", 0.1), report("a", error="x"), report("b", done=True), seconds=9)
    assert moving.status is status


def test_progress_never_goes_back():
    moving = Moving()
    moving.advance(nodes("a"))
    moving.report(report("a", 0.6), report("a", 0.2))
    assert moving.pulls["a"].progress == 0.6


def test_a_step_that_changes_nothing_is_the_same_status():
    moving = Moving()
    moving.advance(nodes("a"))
    status = moving.status
    moving.advance(nodes("a"), 5)
    assert moving.status is status


def test_an_order_is_sent_again_after_silence_only():
    moving = Moving()
    moving.advance(nodes("a"))
    assert moving.advance(nodes("a"), 9) == []
    moving.report(report("a", 0.1), seconds=9)
    assert moving.advance(nodes("a"), 12) == []
    assert moving.advance(nodes("a"), 19) == ["a"]
    assert moving.advance(nodes("a"), 20) == []
    assert moving.pulls["a"].orders == 2


def test_a_node_that_is_offline_is_ordered_when_it_is_back():
    moving = Moving()
    assert moving.advance(nodes("a", online=False)) == []
    assert moving.advance(nodes("a", online=False), 99) == []
    assert moving.advance(nodes("a"), 99) == ["a"]
    assert moving.advance(nodes("a"), 198) == ["a"]
    assert not moving.pulls["a"].over


def test_a_node_that_does_not_come_back_or_does_not_get_done_fails():
    moving = Moving()
    moving.advance(nodes("a", online=False) | nodes("b"))
    moving.report(report("b", 0.3), seconds=90)
    moving.advance(nodes("a", online=False) | nodes("b"), 101)
    assert "offline for 100 seconds" in moving.pulls["a"].error
    assert "not done within 100 seconds" in moving.pulls["b"].error
    assert moving.canceled == ["b"]
    assert moving.status.finished == at(101)


def test_a_node_that_is_gone_fails():
    moving = Moving()
    moving.advance(nodes("a", "b"))
    moving.report(report("b", done=True))
    moving.advance({}, 1)
    assert (moving.pulls["a"].error, moving.pulls["b"].done) == (GONE, True)


def test_a_cancellation_ends_what_is_not_done_and_keeps_its_progress():
    moving = Moving()
    known = nodes("a", "b") | nodes("c", online=False)
    moving.advance(known)
    moving.report(report("a", done=True), report("b", 0.04))
    moving.wish(cancel=True)
    assert moving.advance(known, 1) == []
    assert moving.pulls["a"].done
    assert (moving.pulls["b"].error, moving.pulls["b"].progress) == (CANCELED, 0.04)
    assert moving.pulls["c"].error == CANCELED
    assert moving.canceled == ["b"]
    assert moving.status.finished == at(1)
    assert moving.status.observed_generation == 2


def test_a_cancellation_before_anything_was_sent_sends_nothing():
    moving = Moving()
    moving.wish(cancel=True)
    assert moving.advance(nodes("a")) == []
    assert moving.canceled == []
    assert moving.pulls["a"].error == CANCELED


def test_a_cancellation_of_what_is_finished_changes_nothing_but_is_observed():
    moving = Moving()
    moving.advance(nodes("a"))
    moving.report(report("a", done=True))
    moving.wish(cancel=True)
    moving.advance(nodes("a"), 5)
    assert moving.pulls["a"].done
    assert moving.status.finished == at(0)
    assert moving.status.observed_generation == moving.document.generation


def test_only_so_many_pull_from_the_registry_at_once():
    moving = Moving(msgspec.structs.replace(LIMITS, parallel=2))
    known = nodes("a", "b", "c", "d")
    assert moving.advance(known) == ["a", "b"]
    assert moving.advance(known, 1) == []
    moving.report(report("a", error="no space"), seconds=1)
    assert moving.advance(known, 1) == ["c"]


def test_a_node_that_goes_silent_keeps_no_place():
    moving = Moving(msgspec.structs.replace(LIMITS, parallel=1))
    assert moving.advance(nodes("a", "b", "c")) == ["a"]
    known = nodes("a", online=False) | nodes("b", "c")
    assert moving.advance(known, 1) == ["b"]
    assert moving.advance(known, 61) == ["b", "c"]


def test_a_node_that_waits_for_its_place_is_not_late():
    moving = Moving(msgspec.structs.replace(LIMITS, parallel=1))
    moving.advance(nodes("a", "b"))
    moving.report(report("a", 0.5), seconds=99)
    assert moving.advance(nodes("a", "b"), 101) == ["b"]
    assert [pull.over for pull in moving.pulls.values()] == [True, False]


def test_nodes_that_fetch_from_each_other_go_in_waves():
    moving = Moving(msgspec.structs.replace(LIMITS, parallel=16))
    known = nodes(*(f"n{number}" for number in range(20)), peer=True)
    waves = []
    while not moving.status.finished:
        wave = moving.advance(known, len(waves))
        waves.append(len(wave))
        moving.report(*(report(id_, done=True) for id_ in wave), seconds=len(waves))
    assert waves == [1, 1, 2, 4, 8, 4]


def test_nodes_without_neighbours_do_not_wait_for_the_waves():
    moving = Moving()
    known = nodes("a", "b", peer=True) | nodes("c", "d")
    assert moving.advance(known) == ["a", "c", "d"]


def test_a_pull_that_nobody_waits_for_is_known_as_such():
    moving = Moving()
    moving.advance(nodes("a", "b"))
    moving.report(report("a", done=True))
    assert over_for(None, "a")
    assert over_for(moving.document, "a")
    assert over_for(moving.document, "stranger")
    assert not over_for(moving.document, "b")
