"""One subscription on the broker, made anew whenever it is lost."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import structlog
from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from chassis.bus import topology
from chassis.bus.amqp_declare import declare, steps
from chassis.bus.amqp_frames import Deliver
from chassis.bus.amqp_link import BROKEN, CALL_LIMIT, LONGEST_PAUSE, PAUSE, Link
from chassis.bus.amqp_receiver import Receiver
from chassis.bus.dead_letters import DeadLetter
from chassis.bus.port import Delivery, Queue, QueueKind
from chassis.clock import Clock
from chassis.errors import BusDown
from chassis.telemetry import MESSAGES

_SHARED_CHANNELS = 8
_ON_DEMAND_LIMIT = 10.0
_log = structlog.get_logger()


class Put(Protocol):
    """Puts one message into a queue by its name, confirmed; BusDown when that fails."""

    def __call__(self, name: str, body: bytes, headers: dict[str, Any]) -> Awaitable[None]:
        """See Put."""
        ...


class Wiring(msgspec.Struct, frozen=True):
    """What every subscription of one bus shares."""

    link: Link
    clock: Clock
    put: Put
    retry_delays: Sequence[float]


class AmqpDelivery:
    """See chassis.bus.port.Delivery."""

    __slots__ = ("_receiver", "_subscription", "_tag", "attempt", "body", "key", "redelivered")

    def __init__(
        self,
        deliver: Deliver,
        body: bytes,
        headers: dict[str, Any],
        receiver: Receiver,
        subscription: "Subscription",
    ) -> None:
        self.body = body
        self.key = deliver.key
        self.attempt = 0
        self.redelivered = int(deliver.redelivered)
        if headers:
            self.key = headers.get(topology.KEY, deliver.key)
            self.attempt = headers.get(topology.ATTEMPT, 0)
            self.redelivered = headers.get("x-delivery-count", self.redelivered)
        self._tag = deliver.tag
        self._receiver = receiver
        self._subscription = subscription

    async def ack(self) -> None:
        """See Delivery."""
        try:
            self._receiver.ack(self._tag)
        except ConnectionError as error:
            raise BusDown(str(error)) from error

    async def requeue(self) -> None:
        """See Delivery."""
        try:
            self._receiver.requeue(self._tag)
        except ConnectionError as error:
            raise BusDown(str(error)) from error

    async def retry(self, body: bytes) -> None:
        """See Delivery."""
        await self._subscription.put_off(body, self.key, self.attempt)

    async def dead_letter(self, body: bytes, reason: str) -> None:
        """See Delivery."""
        await self._subscription.bury(body, self.key, self.attempt, reason)


class Subscription:
    """See chassis.bus.port.Consumer."""

    def __init__(
        self,
        number: int,
        wiring: Wiring,
        queue: Queue,
        receive: Callable[[Delivery], None],
        ready: Callable[[], None] | None,
    ) -> None:
        self.queue = queue
        self._shared = f"nodes.{number % _SHARED_CHANNELS}"
        self._link = wiring.link
        self._clock = wiring.clock
        self._put = wiring.put
        self._delays = wiring.retry_delays
        self._receive = receive
        self._ready = ready
        self._early: list[AmqpDelivery] | None = []
        self._lost = asyncio.Event()
        self._receiver: Receiver | None = None
        self._tag = ""
        self._tried = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"consume:{queue.name}")

    async def stop(self) -> None:
        """See Consumer."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._leave()

    async def abandon(self) -> None:
        """Stop because the connection is about to be closed, which gives everything back."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._receiver is not None:
            self._receiver.flush()

    async def tried(self) -> None:
        """Return when it is subscribed, or the first try to has failed."""
        await self._tried.wait()

    async def put_off(self, body: bytes, key: str, attempt: int) -> None:
        """Have a message delivered again after its delay; bury it when there is none left."""
        delay = topology.retry_delay(self.queue, attempt, self._delays)
        if delay is None:
            await self.bury(body, key, attempt, f"failed {attempt + 1} times")
            return
        name = topology.retry_queue(self.queue, delay)
        await self._declare_now(name, topology.retry_arguments(self.queue, delay))
        await self._put(name, body, {topology.KEY: key, topology.ATTEMPT: attempt + 1})
        MESSAGES.labels(self.queue.label, "retried").inc()

    async def bury(self, body: bytes, key: str, attempt: int, reason: str) -> None:
        """Put a message to the dead letters."""
        headers = {topology.KEY: key, topology.ATTEMPT: attempt, topology.REASON: reason[:1000]}
        headers[topology.QUEUE] = self.queue.name
        name = topology.dead_queue(self.queue)
        await self._declare_now(name, topology.dead_arguments(self.queue))
        await self._put(name, body, headers)
        MESSAGES.labels(self.queue.label, "dead").inc()

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
            self._tried.set()
            await self._leave()
            await self._clock.sleep(random.uniform(0, pause))  # noqa: S311 -- jitter
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _subscribe(self) -> None:
        name = await self._declare_all()
        shared = self.queue.kind is QueueKind.NODE
        receiver = (
            await self._link.receiver(self._shared) if shared else await self._link.new_receiver()
        )
        self._receiver, channel = receiver, receiver.channel
        channel.closing.add_done_callback(lambda _: self._lost.set())
        channel.on_consumer_cancel_callbacks.add(self._cancelled)
        self._tag = f"{self.queue.name}.{uuid.uuid4().hex}"
        self._early = []
        receiver.arrived[self._tag.encode()] = self._arrived
        if receiver.prefetch != self.queue.prefetch:
            receiver.prefetch = self.queue.prefetch
            await channel.basic_qos(prefetch_count=receiver.prefetch, timeout=CALL_LIMIT)
        await channel.basic_consume(name, _never, consumer_tag=self._tag, timeout=CALL_LIMIT)
        if self._ready is not None:
            self._ready()
        early, self._early = self._early, None
        for delivery in early or ():
            self._receive(delivery)
        self._tried.set()

    async def _declare_all(self) -> str:
        """Declare and bind; a PROJECTION has another name each time, so no old one locks it."""
        queue = self.queue
        projection = queue.kind is QueueKind.PROJECTION
        name = f"{queue.name}.{uuid.uuid4().hex}" if projection else queue.name
        for step in steps(queue, name):
            await step(await self._declaring_channel())
        return name

    async def _declare_now(self, name: str, arguments: dict[str, Any]) -> None:
        """Declare on demand: rare, and an operator may have deleted it."""
        if not self._link.is_up:
            raise BusDown("not connected to the message broker")
        try:
            async with asyncio.timeout(_ON_DEMAND_LIMIT):
                await declare(await self._declaring_channel(), name, arguments)
        except BROKEN as error:
            raise BusDown(f"cannot declare {name}: {error!r}"[:200]) from error

    async def _declaring_channel(self) -> Channel:
        """One of its own: whatever is refused closes the channel it came on."""
        return await self._link.channel(f"declare.{self._shared}")

    def _arrived(self, deliver: Deliver, body: bytes, headers: dict[str, Any]) -> None:
        assert self._receiver is not None
        delivery = AmqpDelivery(deliver, body, headers, self._receiver, self)
        if self._early is None:
            self._receive(delivery)
        else:
            self._early.append(delivery)

    def _cancelled(self, frame: spec.Basic.Cancel) -> None:
        if frame.consumer_tag == self._tag:
            self._lost.set()

    async def _leave(self) -> None:
        """Take no more; what is not settled goes back to the queue."""
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        channel = receiver.channel
        receiver.arrived.pop(self._tag.encode(), None)
        channel.on_consumer_cancel_callbacks.discard(self._cancelled)
        if channel.is_closed:
            return
        with suppress(*BROKEN):
            receiver.flush()
            # A cancelled consumer would be succeeded before what it holds has come back.
            if self._tag in channel.consumers and not self.queue.ordered:
                await channel.basic_cancel(self._tag, timeout=CALL_LIMIT)
            if self.queue.kind is QueueKind.NODE:
                receiver.requeue_all(self._tag.encode())
            else:
                await asyncio.wait_for(channel.close(), CALL_LIMIT)


async def _never(_: DeliveredMessage) -> None:
    """The library sees no deliveries: the receiver takes them."""
    raise AssertionError("a delivery went past its receiver")


def dead_letter(number: int, message: DeliveredMessage) -> DeadLetter:
    """A dead letter, whether we buried it or the broker did."""
    headers: dict[str, Any] = dict(message.header.properties.headers or {})
    death: dict[str, Any] = next(iter(headers.get("x-death") or ()), {})
    keys = death.get("routing-keys") or [message.routing_key]
    return DeadLetter(
        number=number,
        queue=headers.get(topology.QUEUE) or death.get("queue", ""),
        key=headers.get(topology.KEY) or keys[0] or "",
        reason=headers.get(topology.REASON) or death.get("reason", ""),
        attempt=headers.get(topology.ATTEMPT, 0),
        body=message.body,
    )
