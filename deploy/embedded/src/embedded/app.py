"""The only wiring of the all-in-one: every service as it is, on one bus and one store."""

import structlog

from api_gateway.app import build as build_gateway
from chassis.bus.memory import MemoryBus
from chassis.clock import SystemClock
from chassis.servers import MongoServer
from chassis.service import Part, Service
from chassis.store.mongo import MongoStore
from chassis.web import Health
from embedded.config import EmbeddedSettings
from embedded.demo import Demo
from embedded.drivers import choose
from embedded.hold import Hold
from embedded.ports import FreePorts
from embedded.readiness import Readiness
from event_pusher.app import build as build_event_pusher
from node_agent.app import build as build_agent
from registry.app import build as build_registry
from scheduler.app import build as build_scheduler

NAME = "embedded"


class Embedded(Service):
    """The whole cloud as one service; started means ready for the first VM."""

    def __init__(self, settings: EmbeddedSettings, parts: list[Part], demo: Demo | None) -> None:
        super().__init__(NAME, parts, Health({}))
        self.settings = settings
        self.address = f"http://{settings.listen_host}:{settings.listen_port}"
        self.registry_address = settings.registry().public_address
        self.demo = demo
        self.choice = choose(settings.driver)


def build(settings: EmbeddedSettings) -> Embedded:
    """Everything in one process. ``settings`` are settled: no web port is 0."""
    folder = settings.folder
    address = f"http://{settings.listen_host}:{settings.listen_port}"
    driver = choose(settings.driver).driver
    mongod = None if settings.mongodb_url else MongoServer(folder / "mongod")
    url = mongod.url if mongod else settings.mongodb_url
    store = MongoStore(url, settings.mongodb_database)
    bus = MemoryBus(SystemClock(), folder / "bus.journal")
    registry = settings.registry()
    demo = None
    if settings.demo_template:
        demo = Demo(registry.public_address, settings.root_token, driver, folder / "demo")
    services = [
        build_registry(registry, bus, store),
        build_scheduler(settings.scheduler(), bus, store),
        build_event_pusher(settings.event_pusher(), bus, store),
        build_gateway(settings.gateway(), bus, store),
        build_agent(settings.agent(driver), bus),
    ]
    parts: list[Part] = [
        Hold(folder, address),
        FreePorts(settings),
        *([mongod] if mongod else []),
        Database(store),
        bus,
        *(Named(service) for service in services),
        *([demo] if demo else []),
        Readiness(address, settings.root_token, demo, settings.ready_seconds),
    ]
    return Embedded(settings, parts, demo)


class Database:
    """The connections to the database; each service makes its own indexes."""

    def __init__(self, store: MongoStore) -> None:
        self._store = store

    async def start(self) -> None:
        """See Part. StoreDown when nobody answers."""
        await self._store.now()

    async def stop(self) -> None:
        """See Part."""
        await self._store.stop()


class Named:
    """A service whose log lines carry its name, as in a process of its own."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def start(self) -> None:
        """See Part. Tasks take the context in which they are made."""
        with structlog.contextvars.bound_contextvars(service=self._service.name):
            await self._service.start()

    async def stop(self) -> None:
        """See Part."""
        with structlog.contextvars.bound_contextvars(service=self._service.name):
            await self._service.stop()
