"""The document as a whole: every message of the catalogue, every kind of event."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from api_gateway.asyncapi.parties import parties
from api_gateway.openapi.schemas import Schema, Schemas
from chassis.bus.topology import EXCHANGE
from contracts.catalog import message_types
from contracts.events import AnyEvent, EventKind
from contracts.messages import MAX_ITEMS, Message, Order, node_key, tag_of
from contracts.webhooks import EnvelopedEvent, SignedHeaders

_NODE = "node"
_EVENTS = "events"
_CLOUD_EVENT = "CloudEvent"
_PUSHER = "event-pusher"
_ABOUT = f"""\
The bus is one topic exchange. A message's tag is its routing key; an order to a node travels \
under the node's own key. Messages of one key travel together: a body is a JSON array of them, \
{MAX_ITEMS} at most. Contracts only grow: whoever hears a message skips fields it does not know.
Webhooks get one event per POST, as it is or in a CloudEvents 1.0 envelope.
"""
_JSON, _CLOUD = "application/json", "application/cloudevents+json"


def document(version: str) -> bytes:
    """The encoded document."""
    kinds = message_types()
    schemas = Schemas([*kinds.values(), AnyEvent, EnvelopedEvent, SignedHeaders])
    whole = {
        "asyncapi": "3.0.0",
        "info": {"title": "Corral", "version": version, "description": _ABOUT},
        "defaultContentType": _JSON,
        "channels": {**_bus_channels(kinds), _EVENTS: _event_channel()},
        "operations": {**_operations(kinds), **_delivery()},
        "components": {
            "messages": {**_messages(kinds, schemas), **_events(schemas)},
            "schemas": schemas.components,
        },
    }
    return msgspec.json.encode(whole)


def _channel_of(kind: type[Message]) -> str:
    return _NODE if issubclass(kind, Order) else tag_of(kind)


def _bus_channels(kinds: Mapping[str, type[Message]]) -> Mapping[str, Schema]:
    found: dict[str, Schema] = {}
    for tag, kind in kinds.items():
        channel = found.setdefault(_channel_of(kind), _bus_channel(tag, kind))
        channel["messages"] |= _references([kind.__name__])
    return found


def _bus_channel(tag: str, kind: type[Message]) -> Schema:
    binding = {"is": "routingKey", "exchange": {"name": EXCHANGE, "type": "topic"}}
    channel: Schema = {"address": tag, "messages": {}, "bindings": {"amqp": binding}}
    if issubclass(kind, Order):
        channel["address"] = node_key("{queue}")
        described = "The queue of the agent that serves the node, usually the node's id."
        channel["parameters"] = {"queue": {"description": described}}
    return channel


def _event_channel() -> Schema:
    return {
        "address": None,
        "description": "The URL of each webhook.",
        "messages": _references([*map(_event_name, EventKind), _CLOUD_EVENT]),
        "bindings": {"http": {}},
    }


def _operations(kinds: Mapping[str, type[Message]]) -> Mapping[str, Schema]:
    known, found = parties(), {}
    for tag, kind in kinds.items():
        channel, name = _channel_of(kind), kind.__name__
        for action, services in (("send", known[tag].says), ("receive", known[tag].hears)):
            for service in services:
                found[f"{service}.{action}.{name}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{channel}"},
                    "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"}],
                    "tags": [{"name": service}],
                }
    return found


def _delivery() -> Mapping[str, Schema]:
    return {
        f"{_PUSHER}.send.events": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{_EVENTS}"},
            "tags": [{"name": _PUSHER}],
            "bindings": {"http": {"method": "POST"}},
        }
    }


def _messages(kinds: Mapping[str, type[Message]], schemas: Schemas) -> Mapping[str, Schema]:
    known = parties()
    return {
        kind.__name__: {
            "name": tag,
            "title": kind.__name__,
            "summary": (kind.__doc__ or "").strip().splitlines()[0],
            "contentType": _JSON,
            "payload": {
                "type": "array",
                "items": schemas.of(kind),
                "minItems": 1,
                "maxItems": MAX_ITEMS,
            },
            "x-says": known[tag].says,
            "x-hears": known[tag].hears,
        }
        for tag, kind in kinds.items()
    }


def _events(schemas: Schemas) -> Mapping[str, Schema]:
    headers = schemas.of(SignedHeaders)
    any_event = schemas.of(AnyEvent)
    found: dict[str, Any] = {
        _event_name(kind): {
            "name": kind.value,
            "title": kind.value,
            "summary": f"The event {kind.value}, in plain mode.",
            "contentType": _JSON,
            "headers": headers,
            "payload": {
                "allOf": [any_event, {"properties": {"name": {"const": kind.value}}}],
            },
            "x-event": True,
        }
        for kind in EventKind
    }
    found[_CLOUD_EVENT] = {
        "name": _CLOUD_EVENT,
        "title": _CLOUD_EVENT,
        "summary": "Any event, in CloudEvents mode.",
        "contentType": _CLOUD,
        "headers": headers,
        "payload": schemas.of(EnvelopedEvent),
        "x-event": True,
    }
    return found


def _event_name(kind: EventKind) -> str:
    return f"event.{kind.value}"


def _references(names: Iterable[str]) -> Mapping[str, Schema]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}
