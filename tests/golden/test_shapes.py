"""That the replayer sees what is not as documented."""

import pytest

from tests.golden.deviations import Excuses
from tests.golden.examples import examples
from tests.golden.replay import _in_order
from tests.golden.shapes import Missing, differences, expected, filled, narrowed
from tests.json_paths import values_at

ID = "7a1c0f7e-3c52-4be1-5f0d-08b6a9b3c4d5"
SAME = [
    ({"a": 1}, {"a": 2, "more": None}),
    ("any", ""),
    ("=x", "x"),
    (ID, "c2a4f7d1-1b0e-4d55-7c3a-90ab12cd34ef"),
    ("2031-05-04T10:00:00Z", "2019-01-01T00:00:00.123456+02:00"),
    (0.5, 1),
    ([], [1, "x"]),
    ([1], [2, 3]),
    (None, None),
]
OTHER = [
    ({"a": 1}, {}, "missing"),
    ({"a": {"b": 1}}, {"a": {"b": "1"}}, "type"),
    (1, 1.0, "type"),
    (1, True, "type"),
    (0.5, True, "type"),
    ("x", None, "type"),
    (None, "", "type"),
    ([1], None, "type"),
    ([1], [], "empty"),
    ([{"a": 1}], [{"a": 1}, {}], "missing"),
    ("=x", "X", "value"),
    (ID, "7", "form"),
    ("2031-05-04T10:00:00Z", "2031-05-04T10:00:00", "form"),
    ("2031-05-04T10:00:00Z", "", "form"),
    ("http://x", "x", "form"),
    ("1.2.3-0a", "1.2", "form"),
]


@pytest.mark.parametrize(("wanted", "got"), SAME)
def test_an_answer_of_the_same_form_is_like_the_example(wanted, got):
    assert list(differences(wanted, got)) == []


@pytest.mark.parametrize(("wanted", "got", "kind"), OTHER)
def test_an_answer_of_another_form_is_told(wanted, got, kind):
    assert [found.kind for found in differences(wanted, got)] == [kind]


def test_a_difference_tells_its_path():
    (found,) = differences({"body": [{"vm": {"tag": "=v1"}}]}, {"body": [{"vm": {"tag": "v2"}}]})
    assert str(found) == "body[].vm.tag: value: 'v2' is not 'v1'"


def test_placeholders_are_filled_and_then_compared_exactly():
    names = {"node": "n1"}
    assert filled({"{node}": ["x{node}", 1]}, names) == {"n1": ["xn1", 1]}
    assert expected({"a": "{node}", "b": "={node}!", "c": "x"}, names) == {
        "a": "=n1",
        "b": "=n1!",
        "c": "x",
    }
    with pytest.raises(Missing, match="other"):
        filled("{other}", names)


def test_paths_lead_to_values_and_choose_elements():
    answer = {"body": [{"id": "a", "vm": {"n": 1}}, {"id": "b", "vm": {"n": 2}}]}
    assert list(values_at(answer, "body[].vm.n")) == [1, 2]
    assert list(values_at(answer, "body[1].id")) == ["b"]
    assert list(values_at(answer, "body[].none")) == []
    assert narrowed(answer, "body", {"vm.n": 2})["body"] == answer["body"][1:]


@pytest.mark.parametrize(
    ("seen", "right"),
    [
        (["Scheduling", "Started"], True),
        (["Scheduling", "Pulling", "Scheduling", "Started"], True),
        (["Pulling", "Scheduling", "Pulling"], False),
        (["Started", "Scheduling"], False),
        (["Scheduling", "Error"], False),
    ],
)
def test_states_come_in_the_documented_order(seen, right):
    assert _in_order(seen, ("Scheduling", "Pulling", "Scheduling", "Started")) is right


def test_a_deviation_excuses_its_example_alone_and_is_reported_when_unneeded():
    excuses = Excuses()
    by_name = {example.name: example for example in examples()}
    waits = by_name["an instance that waits"]
    found = list(differences({"body": {"group_id": ""}}, {"body": {}}))
    assert excuses.unexcused(by_name["a started instance"], found) == found
    assert excuses.unexcused(waits, found) == []
    assert excuses.unneeded({waits.name}) == ["an instance that waits: body.usb_device: missing"]
