"""That a field which the gateway reads and does not describe is found."""

import json

import pytest

from api_gateway.domain.fields import Fields, parse_array, parse_object
from tests import asked_fields
from tests.conformance import rules_of

ONE = {"$ref": "#/components/schemas/Thing"}
RULES = rules_of(
    json.dumps(
        {
            "paths": {
                path: {
                    "post": {
                        "parameters": [{"name": "id"}],
                        "requestBody": {"content": {"application/json": {"schema": schema}}},
                    }
                }
                for path, schema in {"/one": ONE, "/many": {"type": "array", "items": ONE}}.items()
            },
            "components": {"schemas": {"Thing": {"properties": {"known": {}}}}},
        }
    ).encode()
)


def one(name: str) -> Fields:
    return Fields(parse_object(json.dumps({name: "x"}).encode()))


def many(name: str) -> Fields:
    return parse_array(json.dumps([{}, {name: "x"}]).encode())[1]


@pytest.mark.parametrize(("path", "sent"), [("/one", one), ("/many", many)])
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("known", ""),
        ("id", ""),
        ("hidden", "['hidden'] is read and not described"),
    ],
)
def test_a_field_of_a_body_or_of_its_elements_is_read_only_if_described(path, sent, name, problem):
    asked = asked_fields.note()
    assert sent(name).text(name) == "x"
    assert RULES.undescribed(path, "POST", asked) == problem


def test_of_a_nested_object_the_name_is_enough():
    asked = asked_fields.note()
    outer = Fields({"known": {"inner": "x"}}).object("known")
    assert outer is not None
    assert outer.text("inner") == "x"
    assert asked == {"known"}
