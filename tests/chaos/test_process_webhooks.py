"""Receivers down, slow and wrong, event-pusher and broker killed: everything arrives, in order."""

import asyncio
import random
import uuid

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from chassis.store.mongo import MongoStore
from contracts.events import EventKind
from tests.hooks import Hooks, a_gateway
from tests.processes import running_cloud
from tests.pushing import logged, many, publish
from tests.receiver import Receiver, hangs, taken
from tests.servers import rabbit_server
from tests.waiting import until

pytestmark = pytest.mark.timeout(180)  # a busy machine starts a broker in half a minute

SUBJECTS = 20
EVENTS = 600
QUICK = f"""
lease_seconds = 1.5
webhook_networks = "loopback"
delivery_longest_pause = 0.5
delivery_timeout = 1.0
retry_seconds = {[0.1, 0.2, 0.3, 0.5, 0.5, 0.5, *[1] * 60]}
"""


def wrong(dice, over):
    """Refuses, redirects and hangs (until all is ``over``) as it likes."""

    async def answer(event):
        status = dice.choice([*[200] * 12, 500, 302, 400, 0])
        if not status:
            await over.wait()
            status = 503
        return await taken(event) if status == 200 else web.Response(status=status)

    return answer


class Owner:
    """Says events until the bus has confirmed them, as an outbox does."""

    def __init__(self, bus):
        self._bus = bus
        self.count = 0

    async def say(self, count):
        """So many more, a few at a time."""
        for first in range(self.count + 1, self.count + count + 1, 20):
            await publish(self._bus, many(20, SUBJECTS, first), 40)
        self.count += count


@pytest.fixture
async def receivers():
    """One that is down at times, one that is slow, one that answers wrongly, one that is well."""
    found = {name: Receiver() for name in ("down", "slow", "wrong", "well")}
    found["slow"].answer = hangs(0.02)
    over = asyncio.Event()
    found["wrong"].answer = wrong(random.Random(5), over)
    for receiver in found.values():
        await receiver.start()
    yield found
    over.set()
    for receiver in found.values():
        await receiver.stop()


async def test_every_event_reaches_every_endpoint_in_order_of_its_instance(
    mongod, tmp_path, receivers
):
    rabbitmq = rabbit_server(tmp_path / "rabbitmq")
    await rabbitmq.start()
    settings = tmp_path / "quick.toml"
    settings.write_text(QUICK)
    database = f"test_{uuid.uuid4().hex[:12]}"
    store = MongoStore(mongod.url, database)
    bus = AmqpBus(rabbitmq.url, SystemClock())
    await bus.start()
    try:
        async with (
            running_cloud(tmp_path, mongod.url, rabbitmq.url, database) as cloud,
            a_gateway(bus, store) as api,
        ):
            for name in ("pusher1", "pusher2"):
                cloud.pusher(name, config=settings)
            await cloud.up()
            hooks = Hooks(api, bus, store)
            made = {
                name: await hooks.create(receiver, kinds=["VMStarted"])
                for name, receiver in receivers.items()
            }
            owner = Owner(bus)
            await owner.say(EVENTS // 3)
            await receivers["down"].stop()
            for name in ("pusher1", "pusher2"):
                cloud.kill(name)
                cloud.start(name)
            await owner.say(EVENTS // 3)
            rabbitmq.kill()
            saying = asyncio.create_task(owner.say(EVENTS // 3))
            await rabbitmq.start()
            cloud.kill("pusher1", "pusher2")
            cloud.start()
            await receivers["down"].start()
            await saying
            for receiver in receivers.values():
                await until(lambda one=receiver: len(one.sequences()) == EVENTS, 40)
            log = [e for e in await logged(store) if e.event.kind is EventKind.VM_STARTED]
        assert len({entry.id for entry in log}) == len(log) == EVENTS
        for name, receiver in receivers.items():
            for subject in range(SUBJECTS):
                found = receiver.sequences(f"i{subject}")
                assert found == sorted(found), (name, subject)
            for request, event in zip(receiver.requests, receiver.events, strict=True):
                assert request.headers["webhook-id"] == event["id"]
                Webhook(made[name]["secret"]).verify(request.body, request.headers)
    finally:
        await bus.stop()
        await store.stop()
        rabbitmq.kill()
