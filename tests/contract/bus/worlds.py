"""The same promises, two worlds: the bus in process and the bus on a real broker."""

from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from chassis.bus.amqp import AmqpBus
from chassis.bus.memory import MemoryBus
from chassis.bus.port import Delivery, Queue
from chassis.clock import SystemClock
from chassis.servers import RabbitServer
from contracts.documents import Said
from tests.clock import ManualClock, settle
from tests.proxy import Proxy
from tests.waiting import until

RETRY_DELAYS = (0.2, 0.4)


def said(key: str, text: str = "x") -> Said:
    """An item whose body is ``text`` as JSON."""
    return Said(id="", key=key, body=b'"' + text.encode() + b'"')


class Inbox:
    """What one subscription received."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.ready = 0

    def receive(self, delivery: Delivery) -> None:
        """Takes a delivery."""
        self.deliveries.append(delivery)

    def become_ready(self) -> None:
        """Counts (re)subscriptions."""
        self.ready += 1

    @property
    def bodies(self) -> list[bytes]:
        """Bodies in the order of arrival."""
        return [delivery.body for delivery in self.deliveries]

    async def holds(self, count: int) -> list[Delivery]:
        """Wait for that many deliveries."""
        await until(lambda: len(self.deliveries) >= count)
        return self.deliveries


class MemoryWorld:
    """Time is ours; an outage is a call."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = MemoryBus(self.clock, retry_delays=RETRY_DELAYS)

    async def start(self) -> None:
        await self.bus.start()

    async def stop(self) -> None:
        await self.bus.stop()

    async def pass_time(self, seconds: float) -> None:
        """Let so much time go by."""
        await self.clock.advance(seconds)

    async def cut(self) -> None:
        """Lose the broker."""
        self.bus.cut()

    async def heal(self) -> None:
        """Have it back."""
        self.bus.heal()

    async def delete(self, queue: str) -> None:
        """As an operator would."""
        self.bus.delete(queue)

    async def rest(self) -> None:
        """Everything that can be delivered has been."""
        await settle()


class AmqpWorld:
    """Time is real; an outage is a cut cable."""

    def __init__(self, rabbitmq: RabbitServer, url: str) -> None:
        parts = urlsplit(url)
        self._vhost = parts.path[1:]
        self._api = rabbitmq.management_url
        self.proxy = Proxy(rabbitmq.port)
        self.bus = AmqpBus(
            f"amqp://guest:guest@127.0.0.1:{self.proxy.port}/{self._vhost}",
            SystemClock(),
            retry_delays=RETRY_DELAYS,
        )

    async def start(self) -> None:
        await self.proxy.heal()
        await self.bus.start()
        await until(lambda: self.bus.connected)

    async def stop(self) -> None:
        await self.bus.stop()
        await self.proxy.cut()

    async def pass_time(self, seconds: float) -> None:
        """Time passes by itself; whoever needs it waits for its effect."""

    async def cut(self) -> None:
        """Lose the broker."""
        await self.proxy.cut()
        await until(lambda: not self.bus.connected and not self.bus._consuming.is_up)

    async def heal(self) -> None:
        """Have it back."""
        await self.proxy.heal()
        await until(lambda: self.bus.connected and self.bus._consuming.is_up)

    async def delete(self, queue: str) -> None:
        """As an operator would."""
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            await session.delete(f"{self._api}/queues/{self._vhost}/{queue}")

    async def rest(self) -> None:
        """Everything that can be delivered has been: a late message comes after all others."""
        inbox = Inbox()
        queue = Queue(name="rest", keys=("rest",))
        consumer = await self.bus.consume(queue, inbox.receive)
        await self.bus.publish([said("rest")])
        for delivery in await inbox.holds(1):
            await delivery.ack()
        await consumer.stop()


World = MemoryWorld | AmqpWorld
MakeWorld = Callable[[], World]


async def subscribe(world: World, queue: Queue) -> Inbox:
    """Consume ``queue`` into a new inbox."""
    inbox = Inbox()
    await world.bus.consume(queue, inbox.receive, inbox.become_ready)
    await until(lambda: inbox.ready)
    return inbox
