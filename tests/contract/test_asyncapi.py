"""The AsyncAPI document against what really travels."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from api_gateway.asyncapi.document import document
from contracts.catalog import message_types
from contracts.events import EventDocument, EventHappened, EventKind, EventType
from contracts.messages import Order
from contracts.webhooks import EnvelopedEvent, Mode
from event_pusher.domain.signature import headers
from event_pusher.domain.wire import pack
from tests.contract.samples import GOLDEN

WHOLE = json.loads(document("1.2.3"))
MESSAGES = WHOLE["components"]["messages"]


def validator(payload: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**payload, "components": WHOLE["components"]})


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references(item)]
    return [f for item in value for f in references(item)] if isinstance(value, list) else []


def happened(kind: EventKind) -> EventDocument:
    event = EventHappened(
        id="1",
        kind=kind,
        event_type=EventType.API,
        sub_type="vmAction",
        subject="vm",
        at=datetime(2031, 5, 4, tzinfo=UTC),
        fields={"instance_id": "vm", "count": 1, "error": None},
    )
    return EventDocument(id="1", sequence=7, event=event)


def test_everything_that_is_referred_to_is_there():
    for reference in set(references(WHOLE)):
        found = WHOLE
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


@pytest.mark.parametrize(("tag", "kind"), message_types().items())
def test_a_message_is_described_with_its_channel_and_who_says_and_hears_it(tag, kind):
    name = kind.__name__
    assert MESSAGES[name]["name"] == tag
    channel = "node" if issubclass(kind, Order) else tag
    assert name in WHOLE["channels"][channel]["messages"]
    assert WHOLE["channels"][channel]["address"] == ("node.{queue}" if channel == "node" else tag)
    operations = {o for o in WHOLE["operations"] if o.endswith(f".{name}")}
    parties = [f"{s}.send.{name}" for s in MESSAGES[name]["x-says"]]
    parties += [f"{s}.receive.{name}" for s in MESSAGES[name]["x-hears"]]
    assert operations == set(parties)
    assert MESSAGES[name]["x-says"] or MESSAGES[name]["x-hears"]


@pytest.mark.parametrize(("tag", "kind"), message_types().items())
def test_a_message_that_was_once_sent_is_as_described(tag, kind):
    sample = json.loads((GOLDEN / f"{tag}.json").read_bytes())
    rules = validator(MESSAGES[kind.__name__]["payload"])
    rules.validate([sample])
    assert not rules.is_valid([sample | {"type": "another.v1"}])
    assert not rules.is_valid([])


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_is_as_described(kind):
    parcel = pack(happened(kind), "host")
    rules = validator(MESSAGES[f"event.{kind}"]["payload"])
    plain = json.loads(parcel.body(Mode.PLAIN))
    rules.validate(plain)
    assert not rules.is_valid(plain | {"name": "Another"})
    validator(MESSAGES["CloudEvent"]["payload"]).validate(json.loads(parcel.body(Mode.CLOUDEVENTS)))


def test_an_event_in_its_envelope_explains_itself_without_any_document():
    schema = msgspec.json.schema(EnvelopedEvent)
    names = {reference.removeprefix("#/$defs/") for reference in references(schema)}
    assert names == schema["$defs"].keys()
    parcel = pack(happened(EventKind.START_VM), "host")
    rules = jsonschema_rs.Draft202012Validator(schema)
    rules.validate(json.loads(parcel.body(Mode.CLOUDEVENTS)))


@pytest.mark.parametrize("keys", [[], [b"one"], [b"one", b"two"]])
def test_the_headers_of_a_delivery_are_those_described(keys):
    schema = WHOLE["components"]["schemas"]["SignedHeaders"]
    found = headers(keys, "e1", 1_700_000_000, b"{}")
    validator(schema | {"additionalProperties": False}).validate(found)
    assert schema["properties"].keys() - found.keys() == (set() if keys else {"webhook-signature"})
    assert all(message["headers"] for name, message in MESSAGES.items() if "x-event" in message)


def test_every_kind_of_event_reaches_webhooks():
    there = WHOLE["channels"]["events"]["messages"]
    assert there.keys() == {f"event.{kind}" for kind in EventKind} | {"CloudEvent"}


def test_the_document_has_the_version_of_the_gateway():
    assert WHOLE["info"]["version"] == "1.2.3"
