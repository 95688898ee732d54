from datetime import UTC, datetime, timedelta

import pytest

from registry.domain.garbage import Node, judge, reached

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(digest, *, children=(), subject="", orphaned=None):
    return Node(
        id=f"a@{digest}", digest=digest, children=children, subject=subject, orphaned=orphaned
    )


@pytest.mark.parametrize(
    ("nodes", "tagged", "wanted"),
    [
        ([node("m")], ["m"], {"m"}),
        ([node("m")], [], set()),
        ([node("i", children=("m",)), node("m")], ["i"], {"i", "m"}),
        ([node("i", children=("j",)), node("j", children=("m",)), node("m")], ["i"], {*"ijm"}),
        ([node("m"), node("s", subject="m")], ["m"], {"m", "s"}),
        ([node("m"), node("s", subject="m"), node("t", subject="s")], ["m"], {"m", "s", "t"}),
        ([node("m"), node("s", subject="m")], ["s"], {"s"}),
        ([node("i", children=("m",)), node("m"), node("s", subject="m")], ["i"], {"i", "m", "s"}),
        ([node("s", subject="gone")], [], set()),
        ([node("m")], ["gone"], set()),
    ],
)
def test_what_a_tag_reaches_is_wanted(nodes, tagged, wanted):
    assert reached(nodes, tagged) == wanted


def digests(nodes):
    return [item.digest for item in nodes]


def test_an_orphan_is_marked_first_and_dropped_after_the_grace():
    fresh, old = node("fresh"), node("old", orphaned=NOW)
    for before, dropped in ((NOW - timedelta(seconds=1), []), (NOW, ["old"])):
        verdict = judge([fresh, old], [], before)
        assert digests(verdict.orphaned) == ["fresh"]
        assert digests(verdict.dropped) == dropped


def test_an_orphan_that_is_reached_again_loses_its_mark():
    verdict = judge([node("m", orphaned=NOW)], ["m"], NOW + timedelta(days=1))
    assert digests(verdict.wanted_again) == ["m"]
    assert not verdict.dropped


def test_an_index_is_dropped_before_its_manifests():
    nodes = [node("m", orphaned=NOW), node("i", children=("m",), orphaned=NOW)]
    assert digests(judge(nodes, [], NOW).dropped) == ["i"]
    assert digests(judge(nodes[:1], [], NOW).dropped) == ["m"]
