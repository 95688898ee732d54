"""Logs as JSON lines of dotted event names with fields; shared metrics."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter(
    "corral_bus_messages_total",
    "Messages by what became of them: handled, put off (retried) or given up (dead).",
    ["queue", "outcome"],
)
BATCH = Histogram(
    "corral_bus_batch_items",
    "Messages per handled batch.",
    ["queue"],
    buckets=(1, 4, 16, 64, 256, 1024),
)
HANDLE_SECONDS = Histogram("corral_bus_handle_seconds", "Time to handle one batch.", ["queue"])
WAITING = Gauge("corral_bus_waiting", "Deliveries that came and wait for the handler.", ["queue"])
PUBLISHED = Counter("corral_bus_published_total", "Messages confirmed by the bus.")
CONNECTED = Gauge("corral_bus_connected", "1 while the bus is connected.")
UNCONFIRMED = Gauge(
    "corral_outbox_messages",
    "Messages that follow from a decision and that the bus has not confirmed.",
    ["service"],
)
BUILD = Gauge("corral_build_info", "1; the labels say which code runs.", ["service", "version"])


Listener = Callable[[Mapping[str, Any], str], None]
"""Told every line, as fields and as it is written, in the thread that logs; must not block."""

_listeners: set[Listener] = set()


def listen(listener: Listener) -> None:
    """Have ``listener`` told every line from now on."""
    _listeners.add(listener)


def unlisten(listener: Listener) -> None:
    """Tell it no more; fine when it was not told."""
    _listeners.discard(listener)


def configure(service: str, level: str = "info") -> None:
    """Send structlog and the standard library's loggers to standard error as JSON lines."""
    encoder = msgspec.json.Encoder(enc_hook=str)

    def render(_logger: object, _name: str, event: Any) -> str:
        line = encoder.encode(dict(event)).decode()
        for listener in tuple(_listeners):
            listener(event, line)
        return line

    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                render,
            ],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
