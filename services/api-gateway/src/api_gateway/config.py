"""Settings of the gateway."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from chassis.auth.settings import AuthSettings as Base
from chassis.web import KEEP_ALIVE_SECONDS

_LOOPBACK = ("127.", "localhost", "::1", "[::1]")


class Settings(Base, frozen=True, kw_only=True):
    """Where it listens, what it says of itself. Durations in seconds, sizes in bytes.

    ``enable_controller_authorization``: a key may do what its permission groups may, else all.

    ``listen_addr`` (``host:port`` or ``:port``, the documented form) wins over host and port.
    ``registry_address`` is public and given to agents; ``registry_local_address`` is the
    gateway's own way there, if it differs. ``version`` (``x.y.z-hash``) empty: that of the code.
    ``default_ttl``: seconds after Started at which instances end that were started without a
    ``ttl`` of their own; 0 for never.
    ``body_seconds``: a request's body must be there so long after its head. ``send_seconds``:
    who takes nothing of a long answer for so long is dropped.
    ``package_folder`` holds the agent's packages that are served under ``/pkg/``.
    ``exporter_metrics``: serve the metrics of the public Prometheus exporter as well (of several
    gateways, let one do that). ``max_waiting_commands``: beyond it wake-ups are dropped and the
    scheduler's sweep finds out.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {
        "ANKA_ENABLE_CONTROLLER_AUTHORIZATION": "enable_controller_authorization",
        "ANKA_LISTEN_ADDR": "listen_addr",
        "ANKA_ANKA_REGISTRY": "registry_address",
        "ANKA_LOCAL_ANKA_REGISTRY": "registry_local_address",
        "ANKA_METRICS_PORT": "metrics_port",
    }

    enable_controller_authorization: bool = False
    listen_host: str = "127.0.0.1"
    listen_port: int = 8090
    listen_addr: str = ""
    metrics_port: int = 2112
    registry_address: str = "http://127.0.0.1:8089"
    registry_local_address: str = ""
    registry_poll_seconds: float = 5.0
    registry_timeout: float = 3.0
    version: str = ""
    license: str = "enterprise plus"
    default_ttl: int = 0
    max_body: int = 1 << 20
    body_seconds: float = 30.0
    send_seconds: float = 60.0
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    exporter_metrics: bool = True
    package_folder: str = ""
    max_waiting_commands: int = 20_000
    compare_seconds: float = 30.0
    groups_seconds: float = 2.0
    events_seconds: float = 0.25
    outbox_seconds: float = 3.0

    def __post_init__(self) -> None:
        """Refuse what would look safe and not be."""
        super().__post_init__()
        if self.enable_controller_authorization and not self.enable_auth:
            raise ValueError("enable_controller_authorization: needs enable_auth")
        if self.enable_resource_management and not self.enable_controller_authorization:
            raise ValueError("enable_resource_management: needs enable_controller_authorization")

    @property
    def host(self) -> str:
        """The address to bind; ``0.0.0.0`` when ``listen_addr`` names a port only."""
        if not self.listen_addr:
            return self.listen_host
        return self.listen_addr.rpartition(":")[0].strip("[]") or "0.0.0.0"  # noqa: S104 -- ":80" means every interface

    @property
    def port(self) -> int:
        """The port to bind."""
        if not self.listen_addr:
            return self.listen_port
        return int(self.listen_addr.rpartition(":")[2])

    @property
    def open_to_network(self) -> bool:
        """Whether others than this machine can connect."""
        return not self.host.startswith(_LOOPBACK)

    @property
    def packages(self) -> Path | None:
        """The folder of the agent's packages."""
        return Path(self.package_folder).expanduser() if self.package_folder else None

    @property
    def registry_url(self) -> str:
        """Where the gateway itself asks the registry."""
        return (self.registry_local_address or self.registry_address).rstrip("/")
