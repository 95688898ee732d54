"""How queues are named and declared on the broker; the in-process bus keeps the same names.

One topic exchange. A WORK queue is a quorum queue with a delivery limit and its own dead-letter
queue; what waits for a retry waits in a queue per delay, whose time-to-live sends it back. NODE
queues are classic and durable (transient ones that are not exclusive are deprecated since
RabbitMQ 4.0), and expire; their messages are not persistent. PROJECTION queues are exclusive.
"""

from collections.abc import Sequence
from typing import Any

from chassis.bus.port import Queue, QueueKind

EXCHANGE = "corral"
SHARED_DEAD = "corral.dead"
"""Where dead letters of NODE and PROJECTION queues go, the newest SHARED_DEAD_LENGTH of them."""

SHARED_DEAD_LENGTH = 10_000
_DEAD_LIMIT = 1_000_000
_AT_LEAST_ONCE = {"x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once"}

KEY = "x-corral-key"
"""Header: the routing key under which a message was first published."""

ATTEMPT = "x-corral-attempt"
"""Header: how often we have put it off."""

QUEUE = "x-corral-queue"
"""Header of a dead letter that we buried: the queue that it was for."""

REASON = "x-corral-reason"
"""Header of a dead letter that we buried: why."""


def dead_queue(queue: Queue) -> str:
    """Where the dead letters of a queue go."""
    return f"{queue.name}.dead" if queue.kind is QueueKind.WORK else SHARED_DEAD


def retry_delay(queue: Queue, attempt: int, delays: Sequence[float]) -> float | None:
    """Seconds until a message's next attempt; None when it had its last one.

    Only WORK queues retry: what fails on a NODE or PROJECTION queue is rebuilt by other means.
    """
    if queue.kind is not QueueKind.WORK or attempt >= len(delays):
        return None
    return delays[attempt]


def retry_queue(queue: Queue, delay: float) -> str:
    """Where a message waits that long before it goes back."""
    return f"{queue.name}.retry.{delay:g}"


def arguments(queue: Queue) -> dict[str, Any]:
    """Arguments of the queue itself."""
    if queue.kind is QueueKind.WORK:
        single = {"x-single-active-consumer": True} if queue.ordered else {}
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": queue.delivery_limit,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead_queue(queue),
            **_AT_LEAST_ONCE,
            **single,
        }
    if queue.kind is QueueKind.NODE:
        return {"x-expires": max(1, int(queue.expires * 1000))}
    return {}


def dead_arguments(queue: Queue) -> dict[str, Any]:
    """Arguments of its dead-letter queue; looking at a letter counts as a delivery there."""
    if queue.kind is QueueKind.WORK:
        return {"x-queue-type": "quorum", "x-delivery-limit": _DEAD_LIMIT}
    return {"x-max-length": SHARED_DEAD_LENGTH}


def retry_arguments(queue: Queue, delay: float) -> dict[str, Any]:
    """Arguments of the queue where a message waits ``delay`` seconds."""
    return {
        "x-queue-type": "quorum",
        "x-message-ttl": int(delay * 1000),
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue.name,
        **_AT_LEAST_ONCE,
    }


def is_persistent(key: str) -> bool:
    """Orders to a node are wake-ups that heartbeats rebuild; everything else must last."""
    return not key.startswith("node.")


def matches(binding: str, key: str) -> bool:
    """Whether a message with this key reaches a queue with this binding."""
    return _match(binding.split("."), key.split(".") if key else [])


def _match(binding: list[str], words: list[str]) -> bool:
    if not binding:
        return not words
    head, *rest = binding
    if head == "#":
        return any(_match(rest, words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _match(rest, words[1:])
