"""Many nodes that really pull: agents with the QEMU driver's cache, which boots nothing here."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.service import Service
from chassis.store.port import Store
from contracts.artifacts import TemplateConfig
from contracts.nodes import NodeDocument
from contracts.templates import TemplateDocument, TemplateRef
from corral.registry import RegistryClient
from node_agent.app import build as build_agent
from node_agent.config import AgentSettings
from node_agent.drivers.qemu import QemuDriver, QemuSettings
from registry.store import NODES, TEMPLATES
from scheduler.app import build as build_scheduler
from scheduler.config import SchedulerSettings
from tests.cloud import BRISK
from tests.ports import free_port
from tests.registries import push, qcow2
from tests.waiting import until

REPOSITORY = "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce"


class Fleet:
    """A scheduler and agents in this process, on one bus and store."""

    def __init__(self, bus: Bus, store: Store, folder: Path) -> None:
        self._bus = bus
        self._store = store
        self._folder = folder
        self._running = AsyncExitStack()
        self.drivers: dict[str, QemuDriver] = {}

    async def scheduler(self) -> None:
        """Keep the documents of nodes."""
        settings = SchedulerSettings(**BRISK | {"metrics_port": 0})
        await self._run(build_scheduler(settings, self._bus, self._store))

    async def agent(self, node_id: str, **settings: Any) -> None:
        """One more node. ``peer_fetch`` gets a free port."""
        driver = QemuDriver(QemuSettings(root=self._folder / node_id), SystemClock())
        self.drivers[node_id] = driver
        defaults = {
            "metrics_port": 0,
            "node_id": node_id,
            "name": node_id,
            "host": "127.0.0.1",
            "data": str(self._folder / f"{node_id}.agent"),
            "heartbeat": 1.0,
            "reserve_space": "1B",
            "peer_port": free_port(),
        }
        service = build_agent(
            AgentSettings(**defaults | settings), self._bus, driver_factory=lambda _: driver
        )
        await self._run(service)

    async def joined(self) -> list[NodeDocument]:
        """Wait until the scheduler knows every agent."""

        async def known() -> list[NodeDocument]:
            found = await self._store.find(NODES, NodeDocument, {})
            return found if len(found) == len(self.drivers) else []

        return await until(known, 30)

    async def stop(self) -> None:
        """End everything."""
        await self._running.aclose()

    async def _run(self, service: Service) -> None:
        await service.start()
        self._running.push_async_callback(service.stop)


@asynccontextmanager
async def a_fleet(bus: Bus, store: Store, folder: Path) -> AsyncIterator[Fleet]:
    """A fleet with a scheduler and no agents yet."""
    fleet = Fleet(bus, store, folder)
    await fleet.scheduler()
    try:
        yield fleet
    finally:
        await fleet.stop()


async def a_pushed_tag(
    address: str, store: Store, size: int, tag: str = "v1", *, below: tuple[bytes, ...] = ()
) -> TemplateRef:
    """A tag whose one layer (or the one above ``below``) has so many random bytes."""
    async with RegistryClient(address) as client:
        layers = [*below, qcow2(size)]
        await push(client, REPOSITORY, tag, layers, TemplateConfig(name="huge"))
    template = await store.get(TEMPLATES, TemplateDocument, REPOSITORY)
    assert template is not None
    return template.ref(template.versions[-1])
