"""A gateway and an event-pusher on one bus and one database: webhooks from wish to delivery."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from api_gateway.app import build
from api_gateway.config import Settings
from chassis.bus.port import Bus
from chassis.store.port import Store
from contracts.documents import say
from contracts.events import EventHappened
from contracts.webhooks import EndpointChanged, EndpointDocument
from tests.api import Api
from tests.pushing import a_pusher, publish, settings_for
from tests.receiver import Receiver
from tests.waiting import until

Answer = dict[str, Any]


class Hooks:
    """Calls about webhooks; every call must be OK unless it says otherwise."""

    def __init__(self, api: Api, bus: Bus, store: Store) -> None:
        self.api = api
        self.store = store
        self._bus = bus

    async def create(self, receiver: Receiver, **given: Any) -> Answer:
        """A webhook that gets everything from now on; the event-pusher knows of it."""
        made: Answer = await self.api.ok("POST", "webhook", {"url": receiver.url} | given)
        await self.observed(made["id"])
        return made

    async def show(self, identity: str) -> Answer:
        """As it is now."""
        found: Answer = await self.api.ok("GET", f"webhook?id={identity}")
        return found

    async def change(self, identity: str, **given: Any) -> None:
        """PUT, and wait until the event-pusher knows."""
        await self.api.ok("PUT", f"webhook?id={identity}", given)
        await self.observed(identity)

    async def observed(self, identity: str) -> None:
        """Return when the event-pusher acts on the newest wish."""

        async def is_observed() -> bool:
            return bool((await self.show(identity))["observed"])

        await until(is_observed)

    async def deliveries(self, identity: str, **where: str) -> list[Answer]:
        """The history, newest first."""
        more = "".join(f"&{name}={value}" for name, value in where.items())
        found: list[Answer] = await self.api.ok("GET", f"webhook/deliveries?id={identity}{more}")
        return found

    async def replay(self, identity: str, **chosen: Any) -> Answer:
        """Have past events sent again."""
        found: Answer = await self.api.ok("POST", "webhook/replay", {"id": identity} | chosen)
        return found

    async def happen(self, events: Sequence[EventHappened]) -> None:
        """Say events as their owners do."""
        await publish(self._bus, events)

    async def stored(self, identity: str) -> EndpointDocument | None:
        """The record."""
        return await self.store.get("endpoints", EndpointDocument, identity)


@asynccontextmanager
async def hooks_on(bus: Bus, store: Store, **settings: Any) -> AsyncIterator[Hooks]:
    """Both services; ``settings`` are the event-pusher's."""
    async with a_gateway(bus, store) as api, a_pusher(settings_for(**settings), bus, store):
        await until(lambda: is_heard(bus))
        yield Hooks(api, bus, store)


async def is_heard(bus: Bus) -> bool:
    """Whether an event-pusher works."""
    return not await bus.publish([say(EndpointChanged(endpoint_id="", generation=0))])


@asynccontextmanager
async def a_gateway(bus: Bus, store: Store) -> AsyncIterator[Api]:
    """A running gateway."""
    own = Settings(listen_port=0, metrics_port=0, registry_address="http://127.0.0.1:1")
    gateway = build(own, bus, store)
    await gateway.start()
    api = Api([gateway.address])
    try:
        yield api
    finally:
        await api.close()
        await gateway.stop()
