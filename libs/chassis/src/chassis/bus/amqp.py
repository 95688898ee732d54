"""The only file that imports aio-pika: the bus on RabbitMQ (3.10 and 4.x).

Connections are plain ones under our own supervision: whatever goes wrong, the connection (or the
one channel) is dropped, and made anew with everything that belongs to it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import aio_pika
import structlog
from aiormq import spec
from aiormq.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import PublishError
from yarl import URL

from chassis.bus import topology
from chassis.bus.amqp_consumer import Subscription
from chassis.bus.amqp_link import BROKEN, CALL_LIMIT, Close, Link, open_channel
from chassis.bus.packing import Packet, pack
from chassis.bus.port import Delivery, Queue
from chassis.clock import Clock
from chassis.errors import BusDown
from chassis.telemetry import CONNECTED, PUBLISHED
from contracts.documents import Said

_HEARTBEAT = 10
_CONNECT_LIMIT = 5.0
_TRANSIENT, _PERSISTENT = 1, 2
_log = structlog.get_logger()


class AmqpBus:
    """See chassis.bus.port.Bus. One connection publishes, one consumes.

    A blocked publisher so never holds up acknowledgements. ``publish_limit`` in seconds.
    """

    def __init__(self, url: str, clock: Clock, *, publish_limit: float = 10.0) -> None:
        self._url = URL(url).update_query(heartbeat=_HEARTBEAT)
        self._clock = clock
        self._publish_limit = publish_limit
        self._publishing = Link("publish", clock, self._connect, self._prepare_publishing)
        self._consuming = Link("consume", clock, self._connect, self._declare_exchange)
        self._channel: Channel | None = None
        self._subscriptions: list[Subscription] = []

    @property
    def connected(self) -> bool:
        """See Bus."""
        return self._channel is not None and not self._channel.is_closed

    async def start(self) -> None:
        """See Bus."""
        self._publishing.start()
        self._consuming.start()

    async def stop(self) -> None:
        """See Bus."""
        await asyncio.gather(*[subscription.stop() for subscription in self._subscriptions])
        self._subscriptions.clear()
        await self._consuming.stop()
        await self._publishing.stop()

    async def publish(self, items: Sequence[Said]) -> Sequence[Said]:
        """See Bus."""
        packets = list(pack(items))
        channel = self._open_channel()
        try:
            async with asyncio.timeout(self._publish_limit):
                routed = await asyncio.gather(
                    *[self._send(channel, topology.EXCHANGE, packet) for packet in packets]
                )
        except BROKEN as error:
            raise BusDown(f"not confirmed: {error!r}"[:200]) from error
        unroutable = [
            item
            for packet, fine in zip(packets, routed, strict=True)
            if not fine
            for item in packet.items
        ]
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
        subscription = Subscription(
            number, self._consuming, self._clock, queue, self._put, receive, ready
        )
        self._subscriptions.append(subscription)
        return subscription

    async def _put(self, name: str, body: bytes, headers: dict[str, Any]) -> None:
        """Into one queue, past the exchange."""
        channel = self._open_channel()
        try:
            async with asyncio.timeout(self._publish_limit):
                routed = await self._send(channel, "", Packet(name, body, ()), headers)
        except BROKEN as error:
            raise BusDown(f"not confirmed: {error!r}"[:200]) from error
        if not routed:
            raise BusDown(f"there is no queue {name}")

    async def _send(
        self,
        channel: Channel,
        exchange: str,
        packet: Packet,
        headers: dict[str, Any] | None = None,
    ) -> bool:
        """Publish and wait for the broker; False when no queue is bound for it."""
        mode = _PERSISTENT if topology.is_persistent(packet.key) else _TRANSIENT
        try:
            await channel.basic_publish(
                packet.body,
                exchange=exchange,
                routing_key=packet.key,
                mandatory=True,
                properties=spec.Basic.Properties(delivery_mode=mode, headers=headers),
                wait=False,
            )
        except PublishError:
            return False
        return True

    def _open_channel(self) -> Channel:
        if self._channel is None or self._channel.is_closed:
            raise BusDown("not connected to the message broker")
        return self._channel

    async def _connect(self) -> tuple[AbstractConnection, Close]:
        connection = await aio_pika.connect(self._url, timeout=_CONNECT_LIMIT)
        assert connection.transport is not None
        return connection.transport.connection, connection.close

    async def _declare_exchange(self, connection: AbstractConnection) -> None:
        channel = await open_channel(connection)
        await channel.exchange_declare(
            topology.EXCHANGE, exchange_type="topic", durable=True, timeout=CALL_LIMIT
        )
        await channel.close()

    async def _prepare_publishing(self, connection: AbstractConnection) -> None:
        await self._declare_exchange(connection)
        channel = await open_channel(connection, confirms=True)
        # Whatever closes the channel ends the connection: one way to recover is enough.
        channel.closing.add_done_callback(lambda _: self._publishing.drop())
        connection.closing.add_done_callback(lambda _: CONNECTED.set(0))
        self._channel = channel
        CONNECTED.set(1)
