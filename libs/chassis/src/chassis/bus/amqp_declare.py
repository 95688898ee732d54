"""How a queue comes to be on the broker: its dead letters, itself, its bindings, in this order."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

from aiormq.channel import Channel

from chassis.bus import topology
from chassis.bus.amqp_link import CALL_LIMIT
from chassis.bus.port import Queue, QueueKind

Step: TypeAlias = Callable[[Channel], Awaitable[None]]
"""Done again it changes nothing. One that is refused closes the channel it came on."""


def steps(queue: Queue, name: str) -> Iterator[Step]:
    """What declares ``queue`` under this name, and binds it."""
    if queue.kind is QueueKind.WORK:  # the broker itself uses it; others on demand
        yield partial(
            declare, name=topology.dead_queue(queue), arguments=topology.dead_arguments(queue)
        )
    exclusive = queue.kind is QueueKind.PROJECTION
    yield partial(declare, name=name, arguments=topology.arguments(queue), exclusive=exclusive)
    yield partial(_bind, name=name, keys=queue.keys)


async def declare(
    channel: Channel, name: str, arguments: dict[str, Any], *, exclusive: bool = False
) -> None:
    """Declare one queue."""
    await channel.queue_declare(
        name,
        durable=not exclusive,
        exclusive=exclusive,
        auto_delete=exclusive,
        arguments=arguments,
        timeout=CALL_LIMIT,
    )


async def _bind(channel: Channel, name: str, keys: tuple[str, ...]) -> None:
    for key in keys:
        await channel.queue_bind(name, topology.EXCHANGE, key, timeout=CALL_LIMIT)
