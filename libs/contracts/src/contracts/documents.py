"""What every stored document has in common.

Law: ``spec`` is the wish, ``status`` the world; each has one writer and its own counter.
"""

from datetime import datetime

import msgspec

from contracts.messages import Message, routing_key


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message kept beside the decision that caused it, until the bus has confirmed it."""

    id: str
    key: str
    body: bytes


_encode = msgspec.json.Encoder().encode


def say(message: Message) -> Said:
    """Encode a message once, for the outbox and the bus alike."""
    return Said(id=message.id, key=routing_key(message), body=_encode(message))


class Pending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The frame of a document with a wish and a world.

    ``pending`` is set with every spec write that somebody must act on, and recomputed by each
    status write: it stays while ``generation`` is above the status' ``observed_generation``.
    The counters are factories so that they are always stored: ``$inc`` and filters need them.
    """

    id: str = msgspec.field(name="_id")
    generation: int = msgspec.field(default_factory=lambda: 1)
    status_revision: int = msgspec.field(default_factory=lambda: 0)
    pending: bool = False
    created: datetime
    outbox: tuple[Said, ...] = ()
