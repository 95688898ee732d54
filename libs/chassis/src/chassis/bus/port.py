"""The bus as services see it: publish and consume, nothing else."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from contracts.documents import Said


class QueueKind(StrEnum):
    """What becomes of a queue and its messages.

    WORK: durable, replicated, with a delivery limit and a dead-letter queue.
    NODE: wake-ups that heartbeats rebuild; it expires when its agent stays away.
    PROJECTION: lives as long as its consumer's connection.
    """

    WORK = "work"
    NODE = "node"
    PROJECTION = "projection"


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue bound to routing keys (``*`` one word, ``#`` any). ``expires`` in seconds (NODE).

    ``ordered`` (WORK): one subscription at a time gets messages; the next one only when all that
    its predecessor held has come back, so that a successor sees them in order.
    """

    name: str
    keys: tuple[str, ...]
    kind: QueueKind = QueueKind.WORK
    prefetch: int = 256
    delivery_limit: int = 20
    expires: float = 120.0
    ordered: bool = False

    @property
    def label(self) -> str:
        """Its name in metrics: those of NODE and PROJECTION queues contain ids."""
        return self.name if self.kind is QueueKind.WORK else self.kind.value


RETRY_DELAYS = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds before the first, second, … retry of one item; after the last it is dead."""


class Delivery(Protocol):
    """One bus message handed to us: a JSON array of items. Settle it exactly once.

    ``attempt`` counts our own retries of this body, ``redelivered`` those of the bus.
    """

    body: bytes
    key: str
    attempt: int
    redelivered: int

    async def ack(self) -> None:
        """Done for good."""
        ...

    async def requeue(self) -> None:
        """Not handled; have it delivered again at once, counted against the limit."""
        ...

    async def retry(self, body: bytes) -> None:
        """Have ``body`` (items of this delivery) delivered again after RETRY_DELAYS[attempt].

        Beyond the last delay it goes to the dead letters, and at once where the queue is no WORK:
        such messages are rebuilt by other means. Confirmed; does not settle this one.
        """
        ...

    async def dead_letter(self, body: bytes, reason: str) -> None:
        """Put ``body`` into the dead-letter queue with the reason. Confirmed; does not settle.

        That is ``<name>.dead`` for WORK, one bounded ``corral.dead`` for everything else.
        """
        ...


class Consumer(Protocol):
    """A running subscription."""

    async def stop(self) -> None:
        """Take no more; what is not settled goes back to its queue."""
        ...


class Bus(Protocol):
    """Topic exchange semantics, at-least-once."""

    @property
    def connected(self) -> bool:
        """Whether a publish has a chance right now."""
        ...

    async def start(self) -> None:
        """Begin to connect; returns at once, reconnects for ever."""
        ...

    async def stop(self) -> None:
        """Stop consumers, close connections."""
        ...

    async def keep(self, queue: Queue) -> None:
        """Have this WORK queue exist before anything is published, whoever consumes it, and when.

        For what nobody says again. While the bus is down it returns all the same.
        """
        ...

    async def publish(self, items: Sequence[Said]) -> Sequence[Said]:
        """Publish and wait for confirmation; returns the items that no queue is bound for.

        Items of one key keep their order and travel together, at most MAX_ITEMS or MAX_BYTES
        a message. Raises BusDown when not all were confirmed in time (some may have been).
        """
        ...

    async def consume(
        self,
        queue: Queue,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None = None,
    ) -> Consumer:
        """Declare, bind and consume ``queue``; again after every reconnect.

        ``ready`` is called after each (re)subscription, before its first delivery.
        While the bus is down it returns all the same and subscribes later.
        """
        ...
