"""One subscription on the broker, made anew whenever it is lost."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

import structlog
from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from chassis.bus import topology
from chassis.bus.amqp_link import BROKEN, CALL_LIMIT, LONGEST_PAUSE, PAUSE, Link
from chassis.bus.port import Delivery, Queue, QueueKind
from chassis.clock import Clock
from chassis.errors import BusDown

_SHARED_CHANNELS = 8
_log = structlog.get_logger()


class Put(Protocol):
    """Puts one message into a queue by its name, confirmed; BusDown when that fails."""

    def __call__(self, name: str, body: bytes, headers: dict[str, Any]) -> Awaitable[None]:
        """See Put."""
        ...


class AmqpDelivery:
    """See chassis.bus.port.Delivery."""

    __slots__ = ("_channel", "_subscription", "_tag", "attempt", "body", "key", "redelivered")

    def __init__(self, message: DeliveredMessage, subscription: "Subscription") -> None:
        headers: dict[str, Any] = message.header.properties.headers or {}
        self.body = message.body
        self.key: str = headers.get(topology.KEY) or message.routing_key or ""
        self.attempt: int = headers.get(topology.ATTEMPT, 0)
        self.redelivered: int = headers.get("x-delivery-count", int(bool(message.redelivered)))
        self._tag = message.delivery_tag or 0
        self._channel = message.channel
        self._subscription = subscription

    async def ack(self) -> None:
        """See Delivery."""
        await self._settle(self._channel.basic_ack(self._tag, wait=False))

    async def requeue(self) -> None:
        """See Delivery."""
        await self._settle(self._channel.basic_nack(self._tag, requeue=True, wait=False))

    async def retry(self, body: bytes) -> None:
        """See Delivery."""
        queue = self._subscription.queue
        if topology.retry_queue(queue, self.attempt) is None:
            await self.dead_letter(body, f"failed {self.attempt + 1} times")
        else:
            await self._subscription.put_off(body, self.key, self.attempt)

    async def dead_letter(self, body: bytes, reason: str) -> None:
        """See Delivery."""
        await self._subscription.bury(body, self.key, self.attempt, reason)

    async def _settle(self, call: Awaitable[None]) -> None:
        self._subscription.unsettled.pop(self._tag, None)
        try:
            await call
        except BROKEN as error:
            raise BusDown("the delivery went back to its queue") from error


class Subscription:
    """See chassis.bus.port.Consumer."""

    def __init__(
        self,
        number: int,
        link: Link,
        clock: Clock,
        queue: Queue,
        put: Put,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None,
    ) -> None:
        self.queue = queue
        self.unsettled: dict[int, AmqpDelivery] = {}
        self._shared = f"nodes.{number % _SHARED_CHANNELS}"
        self._link = link
        self._clock = clock
        self._put = put
        self._receive = receive
        self._ready = ready
        self._early: list[AmqpDelivery] | None = []
        self._lost = asyncio.Event()
        self._channel: Channel | None = None
        self._tag = ""
        self._task = asyncio.create_task(self._run(), name=f"consume:{queue.name}")

    async def stop(self) -> None:
        """See Consumer."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._leave()

    async def put_off(self, body: bytes, key: str, attempt: int) -> None:
        """Have a message delivered again after its delay."""
        name = topology.retry_queue(self.queue, attempt)
        assert name is not None
        try:
            await self._declare(name, topology.retry_arguments(self.queue, attempt))
        except BROKEN as error:
            raise BusDown from error
        await self._put(name, body, {topology.KEY: key, topology.ATTEMPT: attempt + 1})

    async def bury(self, body: bytes, key: str, attempt: int, reason: str) -> None:
        """Put a message to the dead letters."""
        headers = {topology.KEY: key, topology.ATTEMPT: attempt, topology.REASON: reason[:1000]}
        headers[topology.QUEUE] = self.queue.name
        await self._put(topology.dead_queue(self.queue), body, headers)

    async def _run(self) -> None:
        pause = PAUSE
        while True:
            self._lost.clear()
            try:
                await self._subscribe()
                pause = PAUSE
                await self._lost.wait()
                _log.warning("bus.subscription_lost", queue=self.queue.name)
            except BROKEN as error:
                _log.warning("bus.not_subscribed", queue=self.queue.name, error=repr(error)[:300])
            except Exception:
                _log.exception("bus.subscription_failed", queue=self.queue.name)
            await self._leave()
            await self._clock.sleep(random.uniform(0, pause))  # noqa: S311 -- jitter
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _subscribe(self) -> None:
        name = await self._declare_all()
        channel = self._channel = await self._open()
        channel.closing.add_done_callback(lambda _: self._lost.set())
        channel.on_consumer_cancel_callbacks.add(self._cancelled)
        self._tag = f"{self.queue.name}.{uuid.uuid4().hex}"
        self._early = []
        await channel.basic_qos(prefetch_count=self.queue.prefetch, timeout=CALL_LIMIT)
        await channel.basic_consume(name, self._arrived, consumer_tag=self._tag, timeout=CALL_LIMIT)
        if self._ready is not None:
            self._ready()
        early, self._early = self._early, None
        for delivery in early or ():
            self._receive(delivery)

    async def _open(self) -> Channel:
        if self.queue.kind is QueueKind.NODE:
            return await self._link.channel(self._shared)
        return await self._link.new_channel()

    async def _declare_all(self) -> str:
        """Declare and bind; a PROJECTION has another name each time, so no old one locks it."""
        queue = self.queue
        projection = queue.kind is QueueKind.PROJECTION
        name = f"{queue.name}.{uuid.uuid4().hex}" if projection else queue.name
        await self._declare(topology.dead_queue(queue), topology.dead_arguments(queue))
        channel = await self._declare(name, topology.arguments(queue), exclusive=projection)
        for key in queue.keys:
            await channel.queue_bind(name, topology.EXCHANGE, key, timeout=CALL_LIMIT)
        return name

    async def _declare(
        self, name: str, arguments: dict[str, Any], *, exclusive: bool = False
    ) -> Channel:
        # On channels of their own: a refused declaration closes the channel it came on.
        channel = await self._link.channel(f"declare.{self._shared}")
        await channel.queue_declare(
            name,
            durable=not exclusive,
            exclusive=exclusive,
            auto_delete=exclusive,
            arguments=arguments,
            timeout=CALL_LIMIT,
        )
        return channel

    async def _arrived(self, message: DeliveredMessage) -> None:
        delivery = AmqpDelivery(message, self)
        self.unsettled[message.delivery_tag or 0] = delivery
        if self._early is None:
            self._receive(delivery)
        else:
            self._early.append(delivery)

    def _cancelled(self, frame: spec.Basic.Cancel) -> None:
        if frame.consumer_tag == self._tag:
            self._lost.set()

    async def _leave(self) -> None:
        """Take no more; what is not settled goes back to the queue."""
        channel, self._channel, unsettled = self._channel, None, self.unsettled
        self.unsettled = {}
        if channel is None or channel.is_closed:
            return
        channel.on_consumer_cancel_callbacks.discard(self._cancelled)
        with suppress(*BROKEN):
            if self._tag in channel.consumers:
                await channel.basic_cancel(self._tag, timeout=CALL_LIMIT)
            if self.queue.kind is not QueueKind.NODE:
                await asyncio.wait_for(channel.close(), CALL_LIMIT)
                return
            for tag in unsettled:
                await channel.basic_nack(tag, requeue=True, wait=False)
