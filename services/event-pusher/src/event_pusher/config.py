"""Settings of the event-pusher."""

import socket
from collections.abc import Mapping
from typing import ClassVar

from chassis.config import Settings as Common
from event_pusher.domain.delivery import WINDOW
from event_pusher.domain.schedule import RETRY_SECONDS


class Settings(Common, frozen=True, kw_only=True):
    """Durations in seconds.

    ``event_log_url`` gets a POST per event (empty: nobody does), signed with ``event_log_secret``
    (``whsec_`` and base64) where that is set; turned off and on again, it gets what it missed.
    ``event_log_path`` is a file for one line per event, ``-`` standard output, empty neither.
    ``event_log_days`` and ``event_log_events``: how old and how many events are kept.
    ``machine_name`` names the controller's host in events.
    ``lease_seconds``: an event-pusher silent so long is succeeded by one that stands by.
    ``delivery_parallel``: requests in flight at a time and receiver. ``delivery_patience``: after
    so many failures in a row a receiver is tried with single requests, after pauses of up to
    ``delivery_longest_pause``; ``webhook_failing_days``: then for so long, it is switched off.
    ``webhook_networks``: what webhooks made through the API may reach besides public addresses:
    networks, or ``private``, ``loopback``, ``link-local``, separated by commas.
    ``webhook_seconds``: how often the webhooks are read again, in case nobody told of a change.
    ``registry_address`` is where central logs go, the events among them.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {"ANKA_EVENT_LOG_URL": "event_log_url"}
    SECRETS: ClassVar[frozenset[str]] = Common.SECRETS | {"event_log_url", "event_log_secret"}

    metrics_port: int = 2115
    registry_address: str = "http://127.0.0.1:8089"
    event_log_url: str = ""
    event_log_secret: str = ""
    event_log_path: str = ""
    event_log_days: float = 90.0
    event_log_events: int = 5_000_000
    machine_name: str = socket.gethostname()
    lease_seconds: float = 6.0
    delivery_parallel: int = 64
    delivery_window: int = WINDOW
    delivery_timeout: float = 15.0
    retry_seconds: tuple[float, ...] = RETRY_SECONDS
    delivery_patience: int = 10
    delivery_longest_pause: float = 30.0
    webhook_failing_days: float = 5.0
    webhook_networks: str = "private"
    webhook_seconds: float = 3.0
