"""Builders for tests of the event-pusher."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from chassis.bus.port import Bus
from chassis.errors import BusDown
from chassis.service import Service
from chassis.store.port import Store
from contracts.documents import Said, say
from contracts.events import EventDocument, EventHappened, EventKind, EventType
from event_pusher.app import build
from event_pusher.config import Settings
from event_pusher.domain.wire import Parcel, pack
from event_pusher.store import EVENTS
from tests.waiting import until

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_event(number: int, subject: str = "i1") -> EventHappened:
    """One of many; its id is its number."""
    return EventHappened(
        id=f"e{number}",
        kind=EventKind.VM_STARTED,
        event_type=EventType.SYSTEM,
        sub_type="vmAction",
        subject=subject,
        at=AT,
        fields={"instance_id": subject, "state": "Started"},
    )


def many(count: int, subjects: int = 5, first: int = 1) -> list[EventHappened]:
    """Events of several instances in turn."""
    return [an_event(n, f"i{n % subjects}") for n in range(first, first + count)]


def a_parcel(number: int, subject: str = "i1") -> Parcel:
    """An event as it travels; its sequence is its number."""
    event = an_event(number, subject)
    return pack(EventDocument(id=event.id, sequence=number, event=event), "m")


def said(events: Sequence[EventHappened]) -> list[Said]:
    """As the owners publish them."""
    return [say(event) for event in events]


async def publish(bus: Bus, events: Sequence[EventHappened], limit: float = 10.0) -> None:
    """Say events until the bus has confirmed them, as an outbox does."""

    async def confirmed() -> bool:
        try:
            return bus.connected and not await bus.publish(said(events))
        except BusDown:
            return False

    await until(confirmed, limit, every=0.05)


def settings_for(**given: Any) -> Settings:
    """Quick retries, a short lease."""
    values: dict[str, Any] = {
        "metrics_port": 0,
        "lease_seconds": 1.5,
        "webhook_networks": "loopback",
        "webhook_seconds": 0.5,
        "delivery_longest_pause": 0.5,
        "retry_seconds": (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0, 8.0),
    }
    return Settings(**values | given)


@asynccontextmanager
async def a_pusher(settings: Settings, bus: Bus, store: Store) -> AsyncIterator[Service]:
    """A running event-pusher."""
    service = build(settings, bus, store)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def logged(store: Store) -> list[EventDocument]:
    """The whole log, by sequence."""
    return await store.find(EVENTS, EventDocument, {}, sort=[("sequence", 1)])


async def log_length(store: Store) -> int:
    """How many events are in the log."""
    return await store.count(EVENTS, {})
