"""The kinds of message and their routing.

A message is a frozen struct whose tag is its routing key. Contracts only grow: a new field
has a default, a type never changes, a break is a ``v2`` beside the ``v1``.
"""

from datetime import datetime

import msgspec

MAX_ITEMS = 256
"""Messages that travel as one bus message, at most."""

MAX_BYTES = 1 << 20
"""Encoded size of one bus message, at most (a single larger item still travels, alone)."""


class Message(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", gc=False
):
    """Anything that travels on the bus.

    ``id`` is set where a repeat must be recognised: messages of an outbox carry
    ``uuid5(subject, revision, kind)``, so a message published twice has one id.
    """

    id: str = ""


class Command(Message, frozen=True, kw_only=True):
    """An imperative from the gateway to the owner of a noun."""


class Order(Message, frozen=True, kw_only=True):
    """An imperative to one node.

    ``queue`` is the queue of the agent that serves the node (its own id, unless nodes of one
    agent process share a queue). ``deadline``: the agent ignores the order after it.
    ``epoch`` fences: it is the scheduler's lease epoch when the order was decided.
    """

    node_id: str
    queue: str = ""
    deadline: datetime
    epoch: int = 0
    attempt: int = 0


class Report(Message, frozen=True, kw_only=True):
    """A past participle from one node. ``at`` is the agent's clock when it was said."""

    node_id: str
    at: datetime


class Fact(Message, frozen=True, kw_only=True):
    """A past participle from the owner of a noun, for whoever listens."""


def tag_of(message: Message | type[Message]) -> str:
    """The tag of a message or of its type, such as ``vm.start.v1``."""
    tag = message.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def node_key(queue: str) -> str:
    """The routing key under which orders reach the agent that reads ``queue``."""
    return f"node.{queue}"


def routing_key(message: Message) -> str:
    """Where a message goes: an order to its node, everything else to its own tag."""
    if isinstance(message, Order):
        return node_key(message.queue or message.node_id)
    return tag_of(message)
