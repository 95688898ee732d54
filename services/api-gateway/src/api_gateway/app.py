"""The gateway's only wiring."""

import structlog

from api_gateway.access import AccessControl
from api_gateway.admission import Admission
from api_gateway.bulk_store import BulkStore
from api_gateway.catalogue import Catalogue
from api_gateway.config import Settings
from api_gateway.configuration import Configuration
from api_gateway.endpoint_store import EndpointStore
from api_gateway.event_feed import EventFeed
from api_gateway.event_reader import EventReader
from api_gateway.exporter.exporter import Exporter
from api_gateway.feasibility import Feasibility
from api_gateway.intake import Intake
from api_gateway.mac_store import MacStore
from api_gateway.moves import HEARD, projection_queue
from api_gateway.outbox import Outbox
from api_gateway.outgoing import Outgoing
from api_gateway.packages import Packages
from api_gateway.pool_store import PoolStore
from api_gateway.projection import Projection
from api_gateway.reader import Reader
from api_gateway.registry_client import Registry
from api_gateway.registry_logs import RegistryLogs
from api_gateway.request_store import RequestStore
from api_gateway.resources import Resources
from api_gateway.routes.bulk import BulkTermination
from api_gateway.routes.configuration import ConfigurationRoutes
from api_gateway.routes.description import DescriptionRoutes
from api_gateway.routes.distributions import CacheRoutes, DistributionRoutes
from api_gateway.routes.events import EventRoutes
from api_gateway.routes.groups import GroupRoutes
from api_gateway.routes.images import ImageRoutes
from api_gateway.routes.instances import InstanceRoutes
from api_gateway.routes.logs import LogRoutes
from api_gateway.routes.macaddr import MacRoutes
from api_gateway.routes.nodes import NodeRoutes
from api_gateway.routes.pools import PoolRoutes
from api_gateway.routes.resources import ResourceRoutes
from api_gateway.routes.stats import StatsRoutes
from api_gateway.routes.status import StatusRoutes
from api_gateway.routes.templates import TemplateRoutes
from api_gateway.routes.webhooks import WebhookRoutes
from api_gateway.starts import Starts
from api_gateway.store import GatewayStore
from api_gateway.sync import Sync
from api_gateway.web import SERVICE, Limits, Routes, application
from chassis.bus.dispatch import Dispatcher
from chassis.bus.event_queue import KeepEvents
from chassis.bus.port import Bus
from chassis.clock import Clock, SystemClock
from chassis.log_shipping import CONTROLLER, shipping
from chassis.service import Loop, Part, Service
from chassis.store.port import Store
from chassis.version import running_version
from chassis.web import Health, WebServer, metrics_server

_log = structlog.get_logger()
_DEAF_SECONDS = 2.0


class Gateway(Service):
    """The service, and where it listens."""

    def __init__(self, parts: "list[Part]", health: Health, server: WebServer) -> None:
        super().__init__(SERVICE, parts, health)
        self._server = server

    @property
    def address(self) -> str:
        """The API's URL, once started."""
        return self._server.address


def build(settings: Settings, bus: Bus, store: Store, clock: Clock | None = None) -> Gateway:
    """Wire the gateway; ``bus`` and ``store`` are started and stopped by whoever gives them."""
    clock = clock or SystemClock()
    documents = GatewayStore(store)
    projection = Projection(clock)
    sync = Sync(projection, documents, bus, clock)
    registry = Registry(settings.registry_url, settings.registry_timeout, settings.root_token)
    logs = RegistryLogs(settings.registry_url, settings.registry_timeout, settings.root_token)
    outgoing = Outgoing(bus, settings.max_waiting_commands)
    intake = Intake(documents, outgoing, projection, clock)
    outbox = Outbox(documents, bus, clock)
    access = AccessControl(settings, store, bus, outbox, clock)
    health = Health({"projection": sync.problem, **access.checks()})
    catalogue = Catalogue(projection, sync, documents, registry)
    reader = Reader(projection, sync, documents)
    resources = Resources(projection, sync)
    configuration = Configuration(store, settings.registry_address, settings.default_ttl)
    version = settings.version or running_version("corral-gateway", __file__)
    endpoints, events, macs = EndpointStore(store), EventReader(store), MacStore(store)
    feed = EventFeed(events)
    bulk = BulkTermination(BulkStore(store), sync, outgoing)
    pool_store = PoolStore(store, projection.pools)
    feasibility = Feasibility(reader, macs)
    admission = Admission(documents, pool_store, projection.pools, intake, clock)
    starts = Starts(documents, catalogue, admission, feasibility, clock, configuration)
    pools = PoolRoutes(pool_store, reader, catalogue, feasibility, outbox, clock, configuration)
    packages = Packages(settings.packages, access.identify)
    routes: Routes = {
        **InstanceRoutes(documents, sync, reader, resources, starts, outgoing, bulk).table(),
        **NodeRoutes(documents, sync, reader, outgoing, version).table(),
        **GroupRoutes(documents, sync, reader, outbox, outgoing, clock).table(),
        **pools.table(),
        **TemplateRoutes(projection, sync, catalogue, registry).table(),
        **_of_the_cloud(resources, macs, documents, projection, sync, outgoing),
        **_long_running(store, reader, catalogue, outbox, outgoing, clock, configuration),
        **LogRoutes(logs).table(),
        **EventRoutes(events, feed).table(),
        **WebhookRoutes(endpoints, events, outbox, outgoing, clock).table(),
        **ConfigurationRoutes(configuration, outbox, clock).table(),
        **StatusRoutes(registry, configuration, version, settings.license).table(),
        **access.table(),
    }
    description = DescriptionRoutes(routes, packages.described(), version, guarded=access.guards)
    routes = {**routes, **description.table()}
    limits = Limits(settings.max_body, settings.body_seconds, settings.send_seconds)
    app = application(access.over(routes), health, packages, limits)
    server = WebServer(app, settings.host, settings.port, settings.keep_alive_seconds)
    exporter = Exporter(projection, registry, clock) if settings.exporter_metrics else None
    _warn_if_open(settings)
    parts: list[Part] = [
        *shipping(settings, settings.registry_url, CONTROLLER, clock),
        KeepEvents(bus),
        outgoing,
        intake,
        registry,
        logs,
        sync,
        *access.parts(),
        Dispatcher(bus, [projection_queue()], HEARD, sync.move, clock, sync.subscribed),
        *_loops(settings, sync, outbox, registry, configuration, clock),
        Loop("events", settings.events_seconds, feed.poll, clock),
        Loop("pools", settings.groups_seconds, pool_store.reread, clock),
        server,
        projection.instances.watch,
        metrics_server(SERVICE, health, settings.metrics_host, settings.metrics_port, exporter),
    ]
    return Gateway(parts, health, server)


def _of_the_cloud(
    resources: Resources,
    macs: MacStore,
    documents: GatewayStore,
    projection: Projection,
    sync: Sync,
    outgoing: Outgoing,
) -> Routes:
    return {
        **ResourceRoutes(resources).table(),
        **MacRoutes(macs, resources, outgoing).table(),
        **StatsRoutes(documents, projection, sync).table(),
    }


def _long_running(
    store: Store,
    reader: Reader,
    catalogue: Catalogue,
    outbox: Outbox,
    outgoing: Outgoing,
    clock: Clock,
    configuration: Configuration,
) -> Routes:
    requests = RequestStore(store)
    return {
        **DistributionRoutes(requests, reader, catalogue, outgoing, clock, configuration).table(),
        **CacheRoutes(requests, outbox).table(),
        **ImageRoutes(requests, reader, catalogue, outgoing, clock, configuration).table(),
    }


def _loops(
    settings: Settings,
    sync: Sync,
    outbox: Outbox,
    registry: Registry,
    configuration: Configuration,
    clock: Clock,
) -> list[Part]:
    return [
        Loop("compare", settings.compare_seconds, sync.compare, clock),
        Loop("compare_while_deaf", _DEAF_SECONDS, sync.compare_while_deaf, clock),
        Loop("groups", settings.groups_seconds, sync.reread_groups, clock),
        Loop("configuration", settings.groups_seconds, configuration.reread, clock),
        Loop("outbox", settings.outbox_seconds, outbox.flush, clock),
        Loop("registry", settings.registry_poll_seconds, registry.poll, clock),
    ]


def _warn_if_open(settings: Settings) -> None:
    if settings.open_to_network and not settings.enable_auth:
        _log.warning(
            "gateway.open_to_the_network",
            host=settings.host,
            warning="authentication is off: everybody who reaches this address owns the cloud",
        )
