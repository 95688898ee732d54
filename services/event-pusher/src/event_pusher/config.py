"""Settings of the event-pusher."""

import socket
from collections.abc import Mapping
from typing import ClassVar

from chassis.config import Settings as Common
from event_pusher.domain.delivery import WINDOW
from event_pusher.domain.schedule import RETRY_SECONDS


class Settings(Common, frozen=True, kw_only=True):
    """Durations in seconds.

    ``event_log_url`` gets a POST per event (empty: nobody does); turned off and on again, it
    gets what it missed. ``event_log_path`` is a file for one line per event, ``-`` standard
    output, empty neither. ``machine_name`` names the controller's host in events.
    ``lease_seconds``: an event-pusher silent so long is succeeded by one that stands by.
    ``delivery_parallel``: requests in flight at a time and receiver. ``registry_address`` is where
    central logs go, the events among them.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {"ANKA_EVENT_LOG_URL": "event_log_url"}
    SECRETS: ClassVar[frozenset[str]] = Common.SECRETS | {"event_log_url"}

    metrics_port: int = 2115
    registry_address: str = "http://127.0.0.1:8089"
    event_log_url: str = ""
    event_log_path: str = ""
    machine_name: str = socket.gethostname()
    lease_seconds: float = 6.0
    delivery_parallel: int = 64
    delivery_window: int = WINDOW
    delivery_timeout: float = 15.0
    retry_seconds: tuple[float, ...] = RETRY_SECONDS
