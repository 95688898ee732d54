"""What the cloud says of itself, and short answers."""

import msgspec

from api_gateway.public.scalars import Moment


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """``registry_status`` is Running or FAIL."""

    status: str = "Running"
    version: str
    registry_address: str
    registry_status: str
    license: str


class Logins(msgspec.Struct, frozen=True):
    """Logins at other services by their names: clients see by the absence that there are none."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The last minute, in seconds and per second; ``instances`` and ``nodes`` by state, now.

    ``average_queue_time`` above 5: the cloud is overloaded. ``waiting`` need a node now, the
    first of them for ``longest_wait``. ``updated``: when that minute ended.
    """

    average_queue_time: int | float
    tasks_per_second: int | float
    starts_per_second: int | float
    waiting: int
    longest_wait: int | float
    updated: Moment
    instances: dict[str, int]
    nodes: dict[str, int]


class UsbDevices(msgspec.Struct, frozen=True, kw_only=True):
    """How many devices of one claim nodes have."""

    available: int
    busy: int


class CloudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``registry_address_override`` is what was set here, empty when nothing was."""

    registry_address: str
    registry_address_override: str
    central_logging: bool


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """The id to ask by what became of it."""

    request_id: str


class RemovalsRequested(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes that were asked."""

    requests_sent: int
    node_ids: tuple[str, ...]


class TestSent(msgspec.Struct, frozen=True, kw_only=True):
    """Names the event in the deliveries."""

    event_id: str


class LogFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the registry; ``size`` in bytes, ``modified`` in seconds since 1970."""

    name: str
    size: int
    modified: int


class ServiceLogs(msgspec.Struct, frozen=True, kw_only=True):
    """A service and its files, the oldest first."""

    service: str
    files: tuple[LogFile, ...]
