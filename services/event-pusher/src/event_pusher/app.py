"""The only wiring of the event-pusher."""

import os
import socket
import uuid
from urllib.parse import urlsplit

from chassis.bus.dispatch import Dispatcher
from chassis.bus.port import Bus
from chassis.clock import Clock, SystemClock
from chassis.config import BadSettings
from chassis.lease import Lease
from chassis.log_shipping import CONTROLLER, LogShipping, RegistryLog, shipping
from chassis.service import Part, Service
from chassis.store.port import Store
from chassis.web import Check, Health, metrics_server
from contracts.events import EventDocument, EventHappened
from event_pusher.central_lines import EVENT_SERVICE, CentralLines
from event_pusher.config import Settings
from event_pusher.courier import Courier, Pace, Term
from event_pusher.domain.delivery import Parcel
from event_pusher.domain.endpoint import EVENT_LOG, Endpoint
from event_pusher.domain.wire import wire_of
from event_pusher.event_log import EventLog
from event_pusher.handlers import QUEUE, EventHandlers
from event_pusher.lines import EventLines
from event_pusher.reader import LogReader
from event_pusher.sender import Sender
from event_pusher.store import EndpointStore, EventStore
from event_pusher.tenure import Tenure

NAME = "event-pusher"


def build(settings: Settings, bus: Bus, store: Store, clock: Clock | None = None) -> Service:
    """One event-pusher; any number may run, one works. BadSettings when the URL is none."""
    clock = clock or SystemClock()
    endpoints = _endpoints(settings)
    sender = Sender(settings.delivery_timeout, clock)

    def work(tenure: Tenure) -> Part:
        return _work(settings, bus, store, sender, endpoints, tenure, clock)

    holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    lease = Lease(store, NAME, holder, settings.lease_seconds)
    health = Health({"bus": _bus_check(bus), "store": _store_check(store)})
    return Service(
        NAME,
        [
            *shipping(settings, settings.registry_address, CONTROLLER, clock),
            metrics_server(health, settings.metrics_host, settings.metrics_port),
            sender,
            Tenure(lease, settings.lease_seconds, work, clock),
        ],
        health,
    )


def _work(
    settings: Settings,
    bus: Bus,
    store: Store,
    sender: Sender,
    endpoints: list[Endpoint],
    tenure: Tenure,
    clock: Clock,
) -> Part:
    """What only the holder of the lease does; made anew for every term."""
    events = EventStore(store)
    log = EventLog(events, tenure.lease)
    machine = settings.machine_name or socket.gethostname()

    def pack(document: EventDocument) -> Parcel:
        return Parcel(
            sequence=document.sequence,
            subject=document.event.subject,
            body=wire_of(document, machine),
        )

    reader = LogReader(log, events, pack)
    states = EndpointStore(store)
    pace = Pace(
        parallel=settings.delivery_parallel,
        window=settings.delivery_window,
        pauses=settings.retry_seconds,
    )
    term = Term(epoch=tenure.lease.epoch, held=lambda: tenure.held)
    couriers = [
        Courier(endpoint, reader, states, sender, term=term, pace=pace, clock=clock)
        for endpoint in endpoints
    ]
    path = settings.event_log_path
    lines: list[EventLines | CentralLines] = [EventLines(path, reader)] if path else []
    if settings.central_logging:
        destination = RegistryLog(settings.registry_address, EVENT_SERVICE)
        lines.append(CentralLines(LogShipping(destination, clock, listens=False), reader))
    handlers = EventHandlers(log, pack, lines, couriers)
    dispatcher = Dispatcher(bus, [QUEUE], [EventHappened], handlers.event_happened, clock)
    return Service(f"{NAME}.work", [log, *lines, *couriers, dispatcher], Health({}))


def _endpoints(settings: Settings) -> list[Endpoint]:
    url = settings.event_log_url
    if not url:
        return []
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise BadSettings("event_log_url is not an http or https address")
    return [Endpoint(id=EVENT_LOG, url=url)]


def _bus_check(bus: Bus) -> Check:
    async def check() -> str:
        return "" if bus.connected else "not connected"

    return check


def _store_check(store: Store) -> Check:
    async def check() -> str:
        await store.now()
        return ""

    return check
