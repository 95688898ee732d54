"""Settings of the all-in-one, and those of every service in it, which follow from them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from api_gateway.config import Settings as GatewaySettings
from chassis.auth.settings import AuthSettings
from chassis.config import PREFIX, BadSettings, Settings
from chassis.servers.process import free_port
from contracts.nodes import CapacityMode
from event_pusher.config import Settings as EventPusherSettings
from node_agent.config import AgentSettings
from node_agent.domain.names import DEFAULT_PREFIX
from registry.config import Settings as RegistrySettings
from scheduler.config import SchedulerSettings
from scheduler.domain.weighers import Strategy

S = TypeVar("S", bound=Settings)
_GATEWAY = GatewaySettings()
_REGISTRY = RegistrySettings()
_SCHEDULER = SchedulerSettings()
_PUSHER = EventPusherSettings()
_AGENT = AgentSettings()


class EmbeddedSettings(AuthSettings, frozen=True, kw_only=True):
    """What may be set of the whole. Durations in seconds; port 0 takes a free one.

    ``data``: where everything is kept, by default ``corral`` in the user's data folder.
    ``mongodb_url`` "" runs a private mongod on the data folder. ``driver`` "" takes qemu where
    its programs are, else simulated. ``host`` is the address that clients are told, and where
    forwarded ports of VMs listen. ``lease_seconds``: how long after a SIGKILL the next process
    waits before it decides. ``webhook_networks`` "": private ones, and loopback while nobody but
    this machine reaches the API. What a service calls the same is the same setting there.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {
        "ANKA_EVENT_LOG_URL": "event_log_url",
        **SchedulerSettings.ALIASES,
        "ANKA_METRICS_PORT": "metrics_port",
        "ANKA_ALLOW_CORS": "allow_cors",
        "ANKA_MAX_LOG_SIZE": "max_log_size",
        "ANKA_KEEP_LOGS_FOR": "keep_logs_for",
        "ANKA_ROTATE_LOG_FILES_AT_MAX_FILE_SIZE": "rotate_log_files_at_max_file_size",
        "ANKA_ROTATE_LOG_FILES_END_OF_DAY": "rotate_log_files_end_of_day",
        "ANKA_ENABLE_CONTROLLER_AUTHORIZATION": "enable_controller_authorization",
        "ANKA_ENABLE_REGISTRY_AUTHORIZATION": "enable_registry_authorization",
    }
    SECRETS: ClassVar[frozenset[str]] = Settings.SECRETS | EventPusherSettings.SECRETS

    data: str = ""
    enable_controller_authorization: bool = False
    enable_registry_authorization: bool = False
    mongodb_url: str = ""
    rabbitmq_url: str = ""
    log_level: str = "warning"
    drain_seconds: float = 20.0
    listen_host: str = "127.0.0.1"
    listen_port: int = 8090
    registry_port: int = 8089
    metrics_port: int = 2112
    scheduler_metrics_port: int = 2113
    registry_metrics_port: int = 2114
    event_pusher_metrics_port: int = 2115
    agent_metrics_port: int = 2116
    exporter_metrics: bool = True
    driver: str = ""
    demo_template: bool = True
    ready_seconds: float = 120.0
    name: str = ""
    host: str = "127.0.0.1"
    max_vm_count: int = 2
    capacity_mode: CapacityMode = CapacityMode.NUMBER
    vcpu_override: int = 0
    ram_override: int = 0
    groups: str = ""
    vm_prefix: str = DEFAULT_PREFIX
    reserve_space: str = "1GB"
    heartbeat: float = 5.0
    num_workers: int = 2
    start_timeout: float = 90.0
    network_timeout: float = 60.0
    node_active_timeout: float = 120.0
    lease_seconds: float = 3.0
    strategy: Strategy = Strategy.SPREAD
    start_seconds: float = 3600.0
    instance_time_out: float = 60.0
    start_attempts: int = 5
    manage_mac_addresses: bool = False
    mac_addr_range: str = _SCHEDULER.mac_addr_range
    save_seconds: float = 6 * 3600.0
    keep_image_requests: float = 7 * 24 * 3600.0
    event_log_url: str = ""
    event_log_secret: str = ""
    event_log_path: str = ""
    event_log_days: float = 90.0
    event_log_events: int = 5_000_000
    webhook_networks: str = ""
    webhook_failing_days: float = _PUSHER.webhook_failing_days
    default_ttl: int = 0
    ageing_seconds: float = _SCHEDULER.ageing_seconds
    max_body: int = _GATEWAY.max_body
    body_seconds: float = _GATEWAY.body_seconds
    send_seconds: float = _GATEWAY.send_seconds
    keep_alive_seconds: float = _GATEWAY.keep_alive_seconds
    package_folder: str = _GATEWAY.package_folder
    allow_cors: str = _REGISTRY.allow_cors
    disk_reserve: int = _REGISTRY.disk_reserve
    upload_ttl: float = _REGISTRY.upload_ttl
    quota_bytes: int = _REGISTRY.quota_bytes
    repository_quota_bytes: int = _REGISTRY.repository_quota_bytes
    gc_interval: float = _REGISTRY.gc_interval
    gc_grace: float = _REGISTRY.gc_grace
    scrub_interval: float = _REGISTRY.scrub_interval
    scrub_rate: int = _REGISTRY.scrub_rate
    max_log_size: int = _REGISTRY.max_log_size
    rotate_log_files_at_max_file_size: bool = _REGISTRY.rotate_log_files_at_max_file_size
    rotate_log_files_end_of_day: bool = _REGISTRY.rotate_log_files_end_of_day
    keep_logs_for: float = _REGISTRY.keep_logs_for
    max_failure_log: int = _REGISTRY.max_failure_log
    failure_logs: bool = _AGENT.failure_logs
    enable_vm_monitor: bool = _AGENT.enable_vm_monitor
    vm_stuck_delay: float = _AGENT.vm_stuck_delay
    vm_stuck_timeout: float = _AGENT.vm_stuck_timeout

    def __post_init__(self) -> None:
        """Refuse what would look safe and not be."""
        super().__post_init__()
        by_group = self.enable_controller_authorization or self.enable_registry_authorization
        if by_group and not self.enable_auth:
            raise ValueError("enable_auth: authorization needs it")
        if self.enable_resource_management and not by_group:
            raise ValueError(
                "enable_resource_management: needs enable_controller_authorization"
                " or enable_registry_authorization"
            )
        for service in (self.gateway, self.scheduler, self.registry, self.event_pusher):
            service()  # refuses by its name what it could not work with
        self.agent(self.driver or "simulated")

    @property
    def folder(self) -> Path:
        """Where everything is kept."""
        if self.data:
            return Path(self.data).expanduser().absolute()
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(base).expanduser() / "corral"

    @property
    def agent_folder(self) -> Path:
        """Where the agent keeps its journal, its images and its VMs."""
        return self.folder / "agent"

    @property
    def listens(self) -> list[tuple[str, str, int]]:
        """(setting, address, port) of everything that will listen."""
        web = ("listen_port", "registry_port")
        metrics = (
            "metrics_port",
            "scheduler_metrics_port",
            "registry_metrics_port",
            "event_pusher_metrics_port",
            "agent_metrics_port",
        )
        hosts = dict.fromkeys(web, self.listen_host) | dict.fromkeys(metrics, self.metrics_host)
        return [(f"{PREFIX}{n.upper()}", host, getattr(self, n)) for n, host in hosts.items()]

    def settled(self) -> "EmbeddedSettings":
        """The same with ports for 0 where others must know them. BadSettings."""
        if self.rabbitmq_url:
            raise BadSettings(
                f"{PREFIX}RABBITMQ_URL: the all-in-one has its own bus;"
                " the single services (corral-gateway, …) run on RabbitMQ"
            )
        return msgspec.structs.replace(
            self,
            listen_port=self.listen_port or free_port(),
            registry_port=self.registry_port or free_port(),
        )

    def gateway(self) -> GatewaySettings:
        """Settings of the gateway."""
        return self._for(
            GatewaySettings,
            registry_address=self._registry_address,
            enable_resource_management=(
                self.enable_resource_management and self.enable_controller_authorization
            ),
        )

    def scheduler(self) -> SchedulerSettings:
        """Settings of the scheduler."""
        return self._for(
            SchedulerSettings,
            metrics_port=self.scheduler_metrics_port,
            registry_address=self._registry_address,
            heartbeat_seconds=self.heartbeat,
        )

    def registry(self) -> RegistrySettings:
        """Settings of the registry."""
        return self._for(
            RegistrySettings,
            listen_port=self.registry_port,
            metrics_port=self.registry_metrics_port,
            base_path=str(self.folder / "registry"),
            enable_resource_management=(
                self.enable_resource_management and self.enable_registry_authorization
            ),
            public_address=self._registry_address,
        )

    def event_pusher(self) -> EventPusherSettings:
        """Settings of the event-pusher."""
        open_to_network = self.gateway().open_to_network
        return self._for(
            EventPusherSettings,
            metrics_port=self.event_pusher_metrics_port,
            registry_address=self._registry_address,
            webhook_networks=self.webhook_networks
            or ("private" if open_to_network else "private,loopback"),
        )

    def agent(self, driver: str) -> AgentSettings:
        """Settings of the one agent, which runs VMs with ``driver``."""
        return self._for(
            AgentSettings,
            metrics_port=self.agent_metrics_port,
            registry_address=self._registry_address,
            data=str(self.agent_folder),
            driver=driver,
        )

    @property
    def _registry_address(self) -> str:
        return f"http://{self.listen_host}:{self.registry_port}"

    def _for(self, kind: type[S], **given: Any) -> S:
        own = {field.name for field in msgspec.structs.fields(type(self))}
        names = [f.name for f in msgspec.structs.fields(kind) if f.name in own]
        return kind(**{name: getattr(self, name) for name in names} | given)
