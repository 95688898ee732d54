"""The only wiring of the event-pusher."""

import os
import socket
import uuid
from urllib.parse import urlsplit

from chassis.bus.dispatch import Dispatcher
from chassis.bus.event_queue import EVENTS
from chassis.bus.port import Bus
from chassis.clock import Clock, SystemClock
from chassis.config import BadSettings
from chassis.lease import Lease
from chassis.log_shipping import CONTROLLER, LogShipping, RegistryLog, shipping
from chassis.service import Loop, Part, Service
from chassis.store.port import Store
from chassis.web import Check, Health, metrics_server
from contracts.events import EventHappened
from contracts.webhooks import EVENT_LOG, EndpointChanged, EndpointSpec, Secret
from event_pusher.addresses import Addresses
from event_pusher.central_lines import EVENT_SERVICE, CentralLines
from event_pusher.config import Settings
from event_pusher.courier import Courier, Pace
from event_pusher.domain.condition import Limits
from event_pusher.domain.endpoint import Endpoint
from event_pusher.domain.networks import BadNetwork, Network, networks_of
from event_pusher.domain.signature import BadSecret, key_of
from event_pusher.domain.wire import pack
from event_pusher.endpoints import Endpoints
from event_pusher.event_log import EventLog
from event_pusher.handlers import ENDPOINTS, EventHandlers
from event_pusher.lines import EventLines
from event_pusher.post import Post
from event_pusher.reader import LogReader
from event_pusher.recorder import Recorder
from event_pusher.retention import Retention
from event_pusher.sender import Sender
from event_pusher.store import EndpointStore, EventStore
from event_pusher.tenure import Tenure

RETENTION_SECONDS = 60.0
NAME = "event-pusher"


def build(settings: Settings, bus: Bus, store: Store, clock: Clock | None = None) -> Service:
    """One event-pusher; any number may run, one works. BadSettings."""
    clock = clock or SystemClock()
    fixed = _fixed(settings)
    addresses = Addresses(_networks(settings))

    def work(tenure: Tenure) -> Part:
        return _work(settings, bus, store, addresses, fixed, tenure, clock)

    holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    lease = Lease(store, NAME, holder, settings.lease_seconds)
    health = Health({"bus": _bus_check(bus), "store": _store_check(store)})
    return Service(
        NAME,
        [
            *shipping(settings, settings.registry_address, CONTROLLER, clock),
            metrics_server(NAME, health, settings.metrics_host, settings.metrics_port),
            addresses,
            Tenure(lease, settings.lease_seconds, work, clock),
        ],
        health,
    )


def _work(
    settings: Settings,
    bus: Bus,
    store: Store,
    addresses: Addresses,
    fixed: Endpoint | None,
    tenure: Tenure,
    clock: Clock,
) -> Part:
    """What only the holder of the lease does; made anew for every term."""
    events = EventStore(store)
    log = EventLog(events, tenure.lease)
    machine = settings.machine_name or socket.gethostname()
    reader = LogReader(log, events, lambda document: pack(document, machine))
    path = settings.event_log_path
    lines: list[EventLines | CentralLines] = [EventLines(path, reader)] if path else []
    if settings.central_logging:
        destination = RegistryLog(settings.registry_address, EVENT_SERVICE, settings.root_token)
        lines.append(CentralLines(LogShipping(destination, clock, listens=False), reader))
    recorder = Recorder(log, reader, lines)
    states = EndpointStore(store, tenure.lease.epoch)
    pace = _pace(settings, tenure)

    def courier(endpoint: Endpoint) -> Courier:
        guarded, timeout = endpoint.guarded, settings.delivery_timeout
        post = Post(Sender(addresses, timeout, clock, guarded=guarded), clock)
        return Courier(endpoint, reader, states, post, pace=pace, clock=clock)

    seconds = settings.webhook_seconds
    record = recorder.record
    endpoints = Endpoints(
        states, reader, courier, record, fixed=fixed, seconds=seconds, clock=clock
    )
    recorder.follow(endpoints.offer)
    handlers = EventHandlers(recorder, endpoints)
    days, most = settings.event_log_days, settings.event_log_events
    retention = Retention(log, events, clock, days=days, most=most)
    parts: list[Part] = [
        log,
        *lines,
        endpoints,
        Loop("retention", RETENTION_SECONDS, retention.sweep, clock),
        Dispatcher(bus, [EVENTS], [EventHappened], handlers.event_happened, clock),
        Dispatcher(
            bus,
            [ENDPOINTS],
            [EndpointChanged],
            handlers.endpoint_changed,
            clock,
            endpoints.wake,
        ),
    ]
    return Service(f"{NAME}.work", parts, Health({}))


def _pace(settings: Settings, tenure: Tenure) -> Pace:
    return Pace(
        window=settings.delivery_window,
        pauses=settings.retry_seconds,
        held=lambda: tenure.held,
        limits=Limits(
            parallel=settings.delivery_parallel,
            patience=settings.delivery_patience,
            longest_pause=settings.delivery_longest_pause,
            days=settings.webhook_failing_days,
        ),
    )


def _fixed(settings: Settings) -> Endpoint | None:
    """The endpoint that the settings name."""
    url, secret = settings.event_log_url, settings.event_log_secret
    if not url:
        return None
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise BadSettings("event_log_url is not an http or https address")
    try:
        secrets = (Secret(value=secret),) if secret and key_of(secret) else ()
    except BadSecret as error:
        raise BadSettings(f"event_log_secret: {error}") from None
    return Endpoint(id=EVENT_LOG, generation=0, spec=EndpointSpec(url=url, secrets=secrets))


def _networks(settings: Settings) -> tuple[Network, ...]:
    try:
        return networks_of(settings.webhook_networks)
    except BadNetwork as error:
        raise BadSettings(f"webhook_networks: {error}") from None


def _bus_check(bus: Bus) -> Check:
    async def check() -> str:
        return "" if bus.connected else "not connected"

    return check


def _store_check(store: Store) -> Check:
    async def check() -> str:
        await store.now()
        return ""

    return check
