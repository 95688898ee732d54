"""What lies in a dead-letter queue, as operators see it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

DELIVERY_LIMIT = "delivery_limit"
"""The reason the bus gives when a message was requeued too often."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message that could not be handled; ``number`` counts from 1, oldest first.

    ``queue`` is where it was to be handled, ``key`` its routing key, ``attempt`` how often it
    had been put off, ``body`` its JSON array of items (or whatever could not be decoded).
    """

    number: int
    queue: str
    key: str
    reason: str
    attempt: int
    body: bytes


class DeadLetterBox(Protocol):
    """What both buses offer to operators. ``name`` is that of the dead-letter queue."""

    async def dead_letters(self, name: str, limit: int = 1000) -> list[DeadLetter]:
        """The oldest letters, which stay where they are; NotFound when there is no such queue."""
        ...

    async def replay(self, name: str, numbers: Sequence[int]) -> int:
        """Send these back to the queue they were for, as new; how many. NotFound, BusDown."""
        ...
