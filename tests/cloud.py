"""The whole cloud in one process: every service from its own wiring, on any bus and store."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from api_gateway.app import Gateway
from api_gateway.app import build as build_gateway
from api_gateway.config import Settings as GatewaySettings
from api_gateway.registry_client import Registry
from api_gateway.registry_logs import RegistryLogs
from chassis.bus.port import Bus
from chassis.lease import LEASES, LeaseDocument
from chassis.service import Service
from chassis.store.port import Store
from chassis.web import WebServer
from contracts.documents import say
from contracts.events import EventDocument
from contracts.instances import InstanceDocument
from contracts.templates import TemplateChanged, TemplateDocument, Version
from event_pusher.app import build as build_pusher
from event_pusher.config import Settings as PusherSettings
from node_agent.app import build as build_agent
from node_agent.config import AgentSettings
from node_agent.control import Control
from node_agent.drivers.simulated import NO_DELAYS, USUAL_HARDWARE, SimulatedDriver
from node_agent.drivers.simulated_host import Delays, HistoryLine, SimulatedHardware, read_history
from node_agent.image_source import ImageSources
from scheduler.app import build as build_scheduler
from scheduler.config import SchedulerSettings
from tests.fates import Fate, FatedBus, FatedClock, fated_driver, fated_store
from tests.instances import documents
from tests.waiting import until

TEMPLATE_ID = "6b135004-0c89-43bb-b892-74796b8d266c"
BEGUN = datetime(2031, 5, 4, 10, tzinfo=UTC)

BRISK: dict[str, Any] = {
    "lease_seconds": 1.0,
    "validity_seconds": 3.0,
    "skew_seconds": 1.0,
    "node_active_timeout": 3.0,
    "instance_time_out": 1.0,
    "heartbeat_seconds": 0.3,
    "sweep_seconds": 0.5,
}
"""Scheduler times that let a test see in seconds what takes minutes in production."""


def a_template(**changes: Any) -> TemplateDocument:
    """A template with tags v1 and v2."""
    versions = tuple(
        Version(
            number=number,
            tag=f"v{number + 1}",
            digest=f"sha256:{number:064}",
            size=1000,
            cpu=2,
            ram_mb=2048,
            created=BEGUN,
            last_push=BEGUN,
        )
        for number in range(2)
    )
    values: dict[str, Any] = {
        "id": TEMPLATE_ID,
        "revision": 1,
        "name": "base",
        "repository": TEMPLATE_ID,
        "arch": "amd64",
        "size": 2000,
        "versions": versions,
        "next_number": 2,
        "last_push": BEGUN,
    }
    return TemplateDocument(**values | changes)


class Cloud:
    """Services on one bus and one store; ``folder`` keeps what outlives a killed agent."""

    def __init__(self, bus: Bus, store: Store, folder: Path) -> None:
        self.bus = bus
        self.store = store
        self.folder = folder
        self.gateways: list[Gateway] = []
        self.node_ids: list[str] = []
        self.drivers: dict[str, SimulatedDriver] = {}
        self._running: list[tuple[Service, Fate]] = []
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        self._others = asyncio.all_tasks()

    async def gateway(self, fate: Fate | None = None, **settings: Any) -> Gateway:
        """One more gateway."""
        fate = fate or Fate()
        given = {"listen_port": 0, "metrics_port": 0, "registry_address": "http://127.0.0.1:9"}
        chosen = GatewaySettings(**given | settings)
        service = build_gateway(chosen, *self._ports(fate), FatedClock(fate))
        await self._start(service, fate)
        self.gateways.append(service)
        return service

    async def scheduler(self, fate: Fate | None = None, **settings: Any) -> Fate:
        """One more scheduler: it leads or stands by."""
        fate = fate or Fate()
        chosen = SchedulerSettings(**BRISK | {"metrics_port": 0} | settings)
        await self._start(build_scheduler(chosen, *self._ports(fate), FatedClock(fate)), fate)
        return fate

    async def pusher(self, fate: Fate | None = None, **settings: Any) -> Fate:
        """One more event-pusher."""
        fate = fate or Fate()
        chosen = PusherSettings(**{"metrics_port": 0, "lease_seconds": 1.0} | settings)
        await self._start(build_pusher(chosen, *self._ports(fate), FatedClock(fate)), fate)
        return fate

    async def agent(
        self,
        node_id: str,
        fate: Fate | None = None,
        delays: Delays = NO_DELAYS,
        hardware: SimulatedHardware = USUAL_HARDWARE,
        **settings: Any,
    ) -> Fate:
        """An agent with a simulated driver; the same id again is the same host after a crash."""
        fate = fate or Fate()
        defaults = {
            "driver": "simulated",
            "metrics_port": 0,
            "data": str(self.folder / node_id),
            "node_id": node_id,
            "name": node_id,
            "heartbeat": 0.3,
        }
        clock = FatedClock(fate)

        def driver(identity: str) -> Any:
            hosts = self.folder / "hosts"
            inner = SimulatedDriver(
                identity, clock, state_dir=hosts, delays=delays, hardware=hardware
            )
            self.drivers[identity] = inner
            return fated_driver(inner, fate)

        service = build_agent(
            AgentSettings(**defaults | settings),
            FatedBus(self.bus, fate),
            driver_factory=driver,
            clock=clock,
        )
        if node_id not in self.node_ids:
            self.node_ids.append(node_id)
        await self._start(service, fate)
        return fate

    async def add_template(self, template: TemplateDocument | None = None) -> None:
        """Make a template known to everybody, as the registry does."""
        template = template or a_template()
        await self.store.insert("templates", [template])
        with contextlib.suppress(Exception):
            await self.bus.publish([say(TemplateChanged(template=template))])

    async def call(
        self, method: str, path: str, body: Any = None, *, gateway: int = 0, **headers: str
    ) -> Any:
        """One API call; the decoded envelope."""
        url = f"{self.gateways[gateway].address}/api/v1/{path}"
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._http.request(method, url, json=body, headers=names) as answer:
            return await answer.json()

    async def start(self, **wish: Any) -> list[str]:
        """POST /vm; the ids."""
        answer = await self.call("POST", "vm", {"vmid": TEMPLATE_ID} | wish)
        assert answer["status"] == "OK", answer
        ids: list[str] = answer["body"]
        return ids

    async def show(self, instance_id: str, gateway: int = 0) -> dict[str, Any]:
        """GET /vm?id=; an empty dict when it is not found."""
        answer = await self.call("GET", f"vm?id={instance_id}", gateway=gateway)
        found: dict[str, Any] = answer.get("body") or {}
        return found

    async def state(self, instance_id: str) -> str:
        """Its public state, or "" when it is gone."""
        return str((await self.show(instance_id)).get("instance_state", ""))

    async def reaches(self, ids: list[str], state: str, limit: float = 20.0) -> None:
        """Wait until all of these show the state ("" for gone)."""

        async def there() -> bool:
            body = (await self.call("GET", "vm"))["body"]
            states = {item["instance_id"]: item["vm"]["instance_state"] for item in body}
            return all(states.get(identity, "") == state for identity in ids)

        await until(there, limit, every=0.05)

    async def ready(self, nodes: int) -> None:
        """Wait until so many nodes are Active and the template is listed everywhere."""

        async def known() -> bool:
            for number in range(len(self.gateways)):
                listed = (await self.call("GET", "node", gateway=number))["body"]
                templates = (await self.call("GET", "registry/vm", gateway=number))["body"]
                if sum(node["state"] == "Active" for node in listed) < nodes or not templates:
                    return False
            return True

        await until(known, 20, every=0.05)

    async def leader_is_there(self) -> bool:
        """Whether some scheduler holds the lease."""
        lease = await self.store.get(LEASES, LeaseDocument, "scheduler")
        return lease is not None and lease.holder != ""

    async def documents(self) -> dict[str, InstanceDocument]:
        """Every instance as stored."""
        return await documents(self.store)

    async def events(self, *kinds: str) -> list[EventDocument]:
        """The event log, perhaps of some kinds only."""
        log = await self.store.find("events", EventDocument, {}, sort=[("sequence", 1)])
        return [entry for entry in log if not kinds or entry.event.kind in kinds]

    def history(self) -> list[HistoryLine]:
        """What the hypervisors did, all nodes together: the oracle."""
        lines = [
            line for node in self.node_ids for line in read_history(self.folder / "hosts" / node)
        ]
        return sorted(lines, key=lambda line: line.at)

    def live_vms(self) -> dict[str, list[str]]:
        """Instance id to the VMs that hosts have of it now."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        vms: dict[tuple[str, str], str] = {}
        for line in self.history():
            key = (line.instance_id, line.name)
            if line.verb in {"delete", "lose"}:
                vms.pop(key, None)
            else:
                vms[key] = line.name
        for instance_id, name in vms:
            found[instance_id].append(name)
        return dict(found)

    async def stop(self) -> None:
        """End everything, the living ones properly."""
        await self._http.close()
        for service, fate in reversed(self._running):
            if not fate.dead.is_set():
                await service.stop()
            else:
                await _close_listeners(service)
            await fate.kill()
        for _, fate in self._running:
            fate.bury()
        while left := [task for task in asyncio.all_tasks() - self._others if _is_ours(task)]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1)

    def _ports(self, fate: Fate) -> tuple[FatedBus, Store]:
        return FatedBus(self.bus, fate), fated_store(self.store, fate)

    async def _start(self, service: Service, fate: Fate) -> None:
        self._running.append((service, fate))
        await service.start()


async def _close_listeners(service: Service) -> None:
    """What the kernel does for the sockets of a killed process."""
    for part in service._parts:
        if isinstance(part, WebServer | Control | ImageSources | Registry | RegistryLogs):
            await part.stop()


def _is_ours(task: "asyncio.Task[Any]") -> bool:
    """Tasks of the dead hang for ever; only they are left when the living have stopped."""
    name = task.get_name()
    ours = ("loop:", "dispatch:", "leader", "consume:", "journal", "publisher")
    return name.startswith((*ours, "vm:", "pull:", "beat:"))


@asynccontextmanager
async def running(bus: Bus, store: Store, folder: Path) -> AsyncIterator[Cloud]:
    """A cloud without services yet; stopped at the end."""
    cloud = Cloud(bus, store, folder)
    try:
        yield cloud
    finally:
        await cloud.stop()
