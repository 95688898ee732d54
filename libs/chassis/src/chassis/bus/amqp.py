"""The only file that imports aio-pika: the bus on RabbitMQ (3.10 and 4.x).

Connections are plain ones under our own supervision: whatever goes wrong, the connection (or the
one channel) is dropped, and made anew with everything that belongs to it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import aio_pika
import structlog
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from yarl import URL

from chassis.bus import topology
from chassis.bus.amqp_consumer import Subscription, Wiring, dead_letter
from chassis.bus.amqp_declare import steps
from chassis.bus.amqp_link import BROKEN, CALL_LIMIT, Link, Opened
from chassis.bus.amqp_publisher import Publisher
from chassis.bus.amqp_tap import TapFactory
from chassis.bus.dead_letters import DeadLetter
from chassis.bus.packing import Packet, pack
from chassis.bus.port import RETRY_DELAYS, Delivery, Queue
from chassis.clock import Clock
from chassis.errors import BusDown, NotFound
from chassis.telemetry import CONNECTED, PUBLISHED
from contracts.documents import Said

_HEARTBEAT = 10
_CONNECT_LIMIT = 5.0
_log = structlog.get_logger()


class AmqpBus:
    """See chassis.bus.port.Bus. One connection publishes, one consumes.

    A blocked publisher so never holds up acknowledgements. ``publish_limit`` in seconds.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        publish_limit: float = 10.0,
        retry_delays: Sequence[float] = RETRY_DELAYS,
    ) -> None:
        self._retry_delays = retry_delays
        self._url = URL(url).update_query(heartbeat=_HEARTBEAT)
        self._clock = clock
        self._publish_limit = publish_limit
        self._publishing = Link("publish", clock, self._connect, self._prepare_publishing)
        self._consuming = Link("consume", clock, self._connect, self._declare_exchange)
        self._publisher: Publisher | None = None
        self._subscriptions: list[Subscription] = []
        self._kept: dict[str, Queue] = {}

    @property
    def connected(self) -> bool:
        """See Bus."""
        return self._publisher is not None and not self._publisher.channel.is_closed

    async def start(self) -> None:
        """See Bus."""
        # The link says in one line what the library says in an error at every attempt.
        logging.getLogger("aiormq").setLevel(logging.CRITICAL)
        self._publishing.start()
        self._consuming.start()

    async def stop(self) -> None:
        """See Bus."""
        await asyncio.gather(*[subscription.abandon() for subscription in self._subscriptions])
        self._subscriptions.clear()
        await self._consuming.stop()
        await self._publishing.stop()

    async def keep(self, queue: Queue) -> None:
        """See Bus. Where that fails the connection goes: the next one begins with it."""
        self._kept[queue.name] = queue
        if not self.connected:
            return
        try:
            await _declare_kept(await self._publishing.opened(), queue)
        except BROKEN as error:
            _log.warning("bus.not_kept", queue=queue.name, error=repr(error)[:300])
            self._publisher = None
            self._lost()

    async def publish(self, items: Sequence[Said]) -> Sequence[Said]:
        """See Bus."""
        if not items:
            return []
        packets = list(pack(items))
        routed = await self._send(topology.EXCHANGE, packets)
        if all(routed):
            PUBLISHED.inc(len(items))
            return []
        lost = [p.items for p, fine in zip(packets, routed, strict=True) if not fine]
        unroutable = [item for part in lost for item in part]
        PUBLISHED.inc(len(items) - len(unroutable))
        return unroutable

    async def consume(
        self,
        queue: Queue,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None = None,
    ) -> Subscription:
        """See Bus."""
        number = len(self._subscriptions)
        wiring = Wiring(self._consuming, self._clock, self._put, self._retry_delays)
        subscription = Subscription(number, wiring, queue, receive, ready)
        self._subscriptions.append(subscription)
        if await self._consuming.tried():
            await subscription.tried()
        return subscription

    async def dead_letters(self, name: str, limit: int = 1000) -> list[DeadLetter]:
        """See DeadLetterBox."""
        async with self._looking_at(name, limit) as (_, letters):
            return [dead_letter(number, letter) for number, letter in enumerate(letters, 1)]

    async def replay(self, name: str, numbers: Sequence[int]) -> int:
        """See DeadLetterBox."""
        async with self._looking_at(name, max(numbers, default=0)) as (channel, letters):
            chosen = [letters[n - 1] for n in sorted(set(numbers)) if 0 < n <= len(letters)]
            for letter in chosen:
                known = dead_letter(0, letter)
                await self._put(known.queue, known.body, {topology.KEY: known.key})
                await channel.basic_ack(letter.delivery_tag or 0)
        return len(chosen)

    @asynccontextmanager
    async def _looking_at(
        self, name: str, limit: int
    ) -> AsyncIterator[tuple[Channel, list[DeliveredMessage]]]:
        """The first messages of a queue; those not acknowledged go back in their order."""
        if not await self._consuming.tried():
            raise BusDown("not connected to the message broker")
        channel = await (await self._consuming.opened()).channel()
        letters: list[DeliveredMessage] = []
        try:
            while len(letters) < limit:
                letter = await channel.basic_get(name, timeout=CALL_LIMIT)
                if letter.delivery_tag is None:
                    break
                letters.append(letter)
            yield channel, letters
        except ChannelNotFoundEntity as error:
            raise NotFound(f"queue {name} does not exist") from error
        except BROKEN as error:
            raise BusDown(str(error)[:200]) from error
        finally:
            with suppress(*BROKEN):
                await channel.close()

    async def _put(self, name: str, body: bytes, headers: dict[str, Any]) -> None:
        """Into one queue, past the exchange."""
        if not all(await self._send("", [Packet(name, body, ())], headers)):
            raise BusDown(f"there is no queue {name}")

    async def _send(
        self, exchange: str, packets: Sequence[Packet], headers: dict[str, Any] | None = None
    ) -> list[bool]:
        publisher = self._publisher
        if publisher is None or publisher.channel.is_closed:
            raise BusDown("not connected to the message broker")
        if publisher.tap.is_full:
            raise BusDown("the message broker takes no more for now")
        try:
            async with asyncio.timeout(self._publish_limit):
                return await publisher.send(exchange, packets, headers)
        except BROKEN as error:
            raise BusDown(f"not confirmed: {error!r}"[:200]) from error

    async def _connect(self) -> Opened:
        factory = TapFactory()
        connection = aio_pika.Connection(self._url)
        connection.kwargs["transport_factory"] = factory
        try:
            await connection.connect(timeout=_CONNECT_LIMIT)
        except BaseException:
            await _close(connection)
            raise
        assert connection.transport is not None
        close = partial(_close, connection)
        return Opened(connection.transport.connection, factory.tap, close)

    async def _declare_exchange(self, opened: Opened) -> None:
        async with opened.short_channel() as channel:
            await channel.exchange_declare(
                topology.EXCHANGE, exchange_type="topic", durable=True, timeout=CALL_LIMIT
            )

    async def _prepare_publishing(self, opened: Opened) -> None:
        await self._declare_exchange(opened)
        channel = await opened.channel(confirms=True)
        # Whatever closes the channel ends the connection: one way to recover is enough.
        channel.closing.add_done_callback(lambda _: self._lost())
        declared: set[str] = set()
        while names := self._kept.keys() - declared:  # also what is added meanwhile
            for name in names:
                await _declare_kept(opened, self._kept[name])
            declared |= names
        tune = opened.connection.connection_tune
        self._publisher = Publisher(channel, opened.tap, tune.frame_max)
        CONNECTED.set(1)

    def _lost(self) -> None:
        CONNECTED.set(0)
        self._publishing.drop()


async def _declare_kept(opened: Opened, queue: Queue) -> None:
    """Have it exist and bound, as we would have it or otherwise.

    A queue with other arguments is another version's, and what is said waits in it as well. When
    none can be made, a limit of the broker's being reached, the binding fails: nothing is to be
    published that would be lost.
    """
    for step in steps(queue, queue.name):
        try:
            async with opened.short_channel() as channel:
                await step(channel)
        except ChannelPreconditionFailed as error:
            _log.warning("bus.queue_differs", queue=queue.name, error=str(error)[:300])


async def _close(connection: aio_pika.Connection) -> None:
    """Close it for good: one left open closes itself when collected, in whatever thread that is."""
    try:
        await connection.close()
    finally:
        await connection.close()  # its transport is gone by now: only says that it is closed
