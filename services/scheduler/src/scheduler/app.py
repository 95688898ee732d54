"""The only wiring of the scheduler."""

import socket
import uuid

from chassis.bus.dispatch import Dispatcher
from chassis.bus.event_queue import KeepEvents
from chassis.bus.port import Bus, Queue
from chassis.clock import Clock, SystemClock
from chassis.lease import Lease
from chassis.log_shipping import CONTROLLER, shipping
from chassis.service import Loop, Service
from chassis.store.port import Store
from chassis.web import Health, metrics_server
from contracts.messages import tag_of
from scheduler.config import SchedulerSettings
from scheduler.handlers import COMMANDS, HANDLERS, REPORTS
from scheduler.leader import Leader
from scheduler.loading import Loader
from scheduler.loops import Steps
from scheduler.store import SchedulerStore
from scheduler.turn import Turns

QUEUES = (
    Queue(name="scheduler.commands", keys=tuple(tag_of(kind) for kind in COMMANDS)),
    Queue(name="scheduler.reports", keys=tuple(tag_of(kind) for kind in REPORTS)),
)


_CLEAN_SECONDS = 10.0
"""Longer than most starts, so that an instance's next write has mostly done it."""


def build(
    settings: SchedulerSettings, bus: Bus, store: Store, clock: Clock | None = None
) -> Service:
    """A scheduler that leads when it can and stands by otherwise."""
    clock = clock or SystemClock()
    documents = SchedulerStore(store)
    holder = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    lease = Lease(store, "scheduler", holder, settings.lease_seconds)
    loader = Loader(documents, settings.limits(), settings.strategy, settings.macs())
    turns = Turns(store, bus, clock, lease, loader, socket.gethostname())
    dispatcher = Dispatcher(bus, QUEUES, HANDLERS, turns.handle, clock)
    steps = Steps(turns, loader, bus, settings.keep_image_requests)

    async def store_answers() -> str:
        await store.now()
        return ""

    async def bus_answers() -> str:
        return "" if bus.connected else "not connected"

    health = Health({"store": store_answers, "bus": bus_answers})
    return Service(
        "scheduler",
        [
            *shipping(settings, settings.registry_address, CONTROLLER, clock),
            documents,
            KeepEvents(bus),
            Leader(lease, turns, dispatcher, clock, settings.lease_seconds / 4),
            Loop("tick", 1.0, steps.tick, clock),
            Loop("sweep", settings.sweep_seconds, steps.sweep, clock),
            Loop("settings", 2.0, steps.read_settings, clock),
            Loop("stats", settings.stats_seconds, steps.write_stats, clock),
            Loop("pools", 1.0, steps.fill_pools, clock),
            Loop("resend", 1.0, turns.resend, clock),
            Loop("outboxes", _CLEAN_SECONDS, turns.clean_outboxes, clock),
            Loop("images", settings.sweep_seconds, steps.forget_images, clock),
            metrics_server("scheduler", health, settings.metrics_host, settings.metrics_port),
        ],
        health,
    )
