"""The wiring of the agent."""

import socket
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from chassis.bus.port import Bus
from chassis.clock import Clock, SystemClock
from chassis.config import BadSettings
from chassis.credentials import credentials
from chassis.log_shipping import shipping
from chassis.service import Loop, Part, Service
from chassis.web import Check, Health, WebServer, metrics_server
from node_agent.agent import Agent
from node_agent.config import SIMULATED, AgentSettings
from node_agent.control import Control
from node_agent.drivers import DRIVERS, DriverOptions
from node_agent.drivers.port import VmDriver
from node_agent.failure_logs import FailureLogs
from node_agent.handlers import Orders
from node_agent.host import Host, Limits
from node_agent.identity import Identity, identities, local_address, process_id
from node_agent.image_cache import ImageCache
from node_agent.image_source import ImageSources
from node_agent.inbox import Inbox
from node_agent.journal import Journal
from node_agent.loops import HeartbeatWheel, Watch
from node_agent.node import Joined, Node
from node_agent.peer_server import PeerRoutes
from node_agent.peers import PeerSource
from node_agent.publisher import Publisher
from node_agent.stuck_guests import StuckGuests
from node_agent.subscription import SubscribedBus
from node_agent.vm import Vm
from node_agent.workers import Workers

NAME = "node-agent"
_TICK, _WATCH, _FORGET = 0.1, 1.0, 60.0
_START_GRACE = 30.0
"""Seconds beyond the driver's own limit for a boot after which it is not waited for."""

DriverFactory = Callable[[str], VmDriver]
"""The driver of the node with this id."""


def build(
    settings: AgentSettings,
    bus: Bus,
    *,
    driver_factory: DriverFactory | None = None,
    clock: Clock | None = None,
    ended: Callable[[], None] | None = None,
) -> Service:
    """The agent of all nodes that the settings ask for; it stores nothing in the cloud.

    ``ended`` is called when the agent was told to disjoin and has said goodbye.
    Raises BadSettings when a driver, size or fault is none.
    """
    clock = clock or SystemClock()
    folder = settings.folder
    process = process_id(settings.node_id, folder)
    journal = Journal(folder / "journal" if folder else None, clock)
    publisher, sources = Publisher(bus, clock), _sources(settings, process)
    address = settings.host or local_address()
    driver_of = driver_factory or _drivers(settings, clock, address)
    failure_logs = FailureLogs(enabled=settings.failure_logs, root_token=settings.root_token)
    own_log = f"{settings.name or socket.gethostname()}---{process}"
    shipped = shipping(settings, settings.registry_address, own_log, clock)
    unsettled: set[Vm] = set()
    nodes: dict[str, Node] = {}
    for identity in identities(process, settings.name, settings.nodes):
        driver = driver_of(identity.node_id)
        workers = Workers(0 if settings.driver == SIMULATED else settings.num_workers)
        host = Host(
            node_id=identity.node_id,
            name=identity.name,
            address=address,
            vm_prefix=settings.vm_prefix,
            driver=driver,
            images=ImageCache(driver, sources.at, workers, settings.reserve, clock.monotonic),
            workers=workers,
            journal=journal,
            publisher=publisher,
            clock=clock,
            failure_logs=failure_logs,
            root_token=settings.root_token,
            shipping=next(iter(shipped), None),
            limits=Limits(
                start=settings.start_timeout + _START_GRACE, network=settings.network_timeout
            ),
            unsettled=unsettled,
        )
        joined = _joined(settings, process, identity, address if driver.shelf else "")
        nodes[identity.node_id] = Node(host, joined, settings.heartbeat, settings.upgrade_program)
    agent = Agent(nodes, journal)
    watch = Watch(nodes.values(), unsettled, journal)
    wheel = HeartbeatWheel(nodes.values(), clock)
    orders = Orders(nodes, journal)
    watched = SubscribedBus(bus, agent.subscribed)
    health = Health({"bus": _bus_check(bus)})
    parts: list[Part] = [
        *shipped,
        failure_logs,
        metrics_server(NAME, health, settings.metrics_host, settings.metrics_port),
        sources,
        publisher,
        *_peer_server(settings, address, nodes.values()),
        agent,
        Inbox(watched, agent.queues, orders.handle, clock),
        Loop("heartbeat", _TICK, wheel.turn, clock),
        Loop("watch", _WATCH, watch.look, clock),
        Loop("forget", _FORGET, watch.forget, clock),
    ]
    if settings.enable_vm_monitor:
        monitor = StuckGuests(nodes.values(), settings.vm_stuck_timeout)
        parts += [monitor, Loop("stuck-guests", settings.vm_stuck_delay, monitor.look, clock)]
    if settings.socket is not None:
        parts.append(Control(settings.socket, settings, agent, process, ended or _stay))
    return Service(NAME, parts, health)


def _sources(settings: AgentSettings, process: str) -> ImageSources:
    relieved = partial(PeerSource, node_id=process) if settings.peer_fetch else None
    return ImageSources(relieved, credentials(settings.root_token))


def _peer_server(settings: AgentSettings, address: str, nodes: Iterable[Node]) -> list[Part]:
    shelves = [shelf for node in nodes if (shelf := node.host.driver.shelf)]
    if not settings.peer_fetch or not shelves:
        return []
    host = settings.peer_host or address
    return [WebServer(PeerRoutes(shelves).app(), host, settings.peer_port)]


def _joined(settings: AgentSettings, process: str, identity: Identity, serves: str) -> Joined:
    peer_address = f"http://{serves}:{settings.peer_port}" if settings.peer_fetch and serves else ""
    return Joined(
        queue=process if settings.shared_queue else identity.node_id,
        capacity=settings.max_vm_count,
        capacity_mode=settings.capacity_mode,
        vcpu_limit=settings.vcpu_override,
        ram_limit_gb=settings.ram_override,
        count_overrides=settings.force_overrides_in_resource_mode,
        drain=settings.drain_mode,
        groups=settings.group_names,
        peer_address=peer_address,
    )


def _drivers(settings: AgentSettings, clock: Clock, address: str) -> DriverFactory:
    if settings.driver not in DRIVERS:
        raise BadSettings(f"no driver {settings.driver!r}; there are {', '.join(sorted(DRIVERS))}")
    if settings.nodes > 1 and settings.driver != SIMULATED:
        raise BadSettings(f"one process serves one node with the {settings.driver} driver")
    if settings.folder is None and settings.driver != SIMULATED:
        raise BadSettings(f"the {settings.driver} driver needs a data directory")

    def make(node_id: str) -> VmDriver:
        return DRIVERS[settings.driver](
            DriverOptions(
                node_id=node_id,
                clock=clock,
                folder=settings.folder,
                address=address,
                start_timeout=settings.start_timeout,
                state_dir=Path(settings.sim_state) if settings.sim_state else None,
                delays=settings.delays,
                faults=settings.faults,
                hardware=settings.hardware,
            )
        )

    return make


def _bus_check(bus: Bus) -> Check:
    async def check() -> str:
        return "" if bus.connected else "not connected"

    return check


def _stay() -> None:
    """Whoever embeds the agent decides when it ends."""
