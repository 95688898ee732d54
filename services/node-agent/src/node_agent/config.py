"""Settings of the agent: the documented join flags and ours."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from chassis.config import BadSettings, Settings
from contracts.nodes import CapacityMode
from node_agent.domain.names import DEFAULT_PREFIX
from node_agent.drivers.simulated_host import Delays, Fault, FaultKind, SimulatedHardware

SIMULATED = "simulated"

_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", re.IGNORECASE)
_FAULT = re.compile(r"(?P<verb>[a-z]+):(?P<every>\*?)(?P<nth>[1-9]\d*):(?P<kind>[a-z-]+)")
_CLAIM = re.compile(r"(?P<claim>[^:]+)(?::(?P<count>[1-9]\d{0,2}))?")


class AgentSettings(Settings, frozen=True, kw_only=True):
    """Join flags by their documented names. ``data`` "" keeps nothing across a restart.

    ``nodes`` above 1 is for the simulated driver. ``reserve_space`` like ``45GB``, "" for a fifth
    of the disk. ``groups`` are names, separated by commas. Durations in seconds.
    ``upgrade_program`` is run with the version that the controller wants of this agent.
    ``sim_state``: folder of the simulated VMs (default: in ``data``); a memory file system makes
    thousands of them cheap. ``sim_faults``: ``verb:nth:kind`` or ``verb:*nth:kind`` (every nth),
    separated by commas. ``registry_address`` is where central logs go; ``failure_logs``: leave
    logs of a VM that failed in the registry it was pulled from.
    ``peer_fetch``: fetch blobs from neighbours first, and serve them on ``peer_port`` of
    ``peer_host`` ("": ``host``, else the local address) to whoever knows their digests.
    ``sim_usb``: claims with the number of their devices (``iphone:2,tablet``), ``sim_vlans``: ids.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {"ANKA_AGENT_SOCKET": "agent_socket"}

    metrics_port: int = 2116
    registry_address: str = "http://127.0.0.1:8089"
    failure_logs: bool = True
    driver: str = "qemu"
    nodes: int = 1
    data: str = ""
    name: str = ""
    node_id: str = ""
    host: str = ""
    groups: str = ""
    max_vm_count: int = 2
    capacity_mode: CapacityMode = CapacityMode.NUMBER
    vcpu_override: int = 0
    ram_override: int = 0
    force_overrides_in_resource_mode: bool = False
    drain_mode: bool = False
    reserve_space: str = ""
    heartbeat: float = 5.0
    num_workers: int = 2
    enable_vm_monitor: bool = False
    vm_stuck_delay: float = 30.0
    vm_stuck_timeout: float = 10.0
    start_timeout: float = 90.0
    network_timeout: float = 60.0
    vm_prefix: str = DEFAULT_PREFIX
    shared_queue: bool = False
    agent_socket: str = ""
    peer_fetch: bool = False
    peer_host: str = ""
    peer_port: int = 2117
    upgrade_program: str = ""
    sim_pull: float = 0.0
    sim_clone: float = 0.0
    sim_start: float = 0.0
    sim_network: float = 0.0
    sim_script: float = 0.0
    sim_stop: float = 0.0
    sim_lifetime: float = 0.0
    sim_save: float = 0.0
    sim_faults: str = ""
    sim_state: str = ""
    sim_arch: str = "amd64"
    sim_cpu_count: int = 16
    sim_ram_gb: int = 64
    sim_disk: str = "1TB"
    sim_usb: str = ""
    sim_vlans: str = ""

    @property
    def folder(self) -> Path | None:
        """Where the agent keeps its journal and identity."""
        return Path(self.data).expanduser() if self.data else None

    @property
    def socket(self) -> Path | None:
        """Where the running agent answers ``status`` and ``disjoin``."""
        if self.agent_socket:
            return Path(self.agent_socket)
        return self.folder / "agent.sock" if self.folder else None

    @property
    def broker(self) -> str:
        """Where the message broker is, without credentials."""
        parts = urlsplit(self.rabbitmq_url)
        return f"{parts.scheme}://{parts.hostname or ''}:{parts.port or 5672}"

    @property
    def reserve(self) -> int | None:
        """``reserve_space`` in bytes; None: the default."""
        return parse_size(self.reserve_space) if self.reserve_space else None

    @property
    def group_names(self) -> tuple[str, ...]:
        """``groups``, one by one."""
        return _words(self.groups)

    @property
    def delays(self) -> Delays:
        """How long the simulated driver takes."""
        return Delays(
            pull=self.sim_pull,
            clone=self.sim_clone,
            start=self.sim_start,
            network=self.sim_network,
            script=self.sim_script,
            stop=self.sim_stop,
            lifetime=self.sim_lifetime,
            save=self.sim_save,
        )

    @property
    def faults(self) -> tuple[Fault, ...]:
        """``sim_faults``, one by one."""
        return tuple(map(parse_fault, _words(self.sim_faults)))

    @property
    def hardware(self) -> SimulatedHardware:
        """What host the simulated driver pretends."""
        return SimulatedHardware(
            arch=self.sim_arch,
            cpu_count=self.sim_cpu_count,
            ram_gb=self.sim_ram_gb,
            disk_size=parse_size(self.sim_disk),
            usb_devices=tuple(c for text in _words(self.sim_usb) for c in parse_claim(text)),
            vlans=_words(self.sim_vlans),
        )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def parse_claim(text: str) -> tuple[str, ...]:
    """A claim for each of its devices, of ``iphone:2`` or ``tablet``. Raises BadSettings."""
    match = _CLAIM.fullmatch(text)
    if match is None:
        raise BadSettings(f"{text!r} is not a claim such as iphone:2")
    return (match["claim"],) * int(match["count"] or 1)


def parse_fault(text: str) -> Fault:
    """A fault of ``start:3:host-fault`` or ``clone:*2:hang``. Raises BadSettings."""
    match = _FAULT.fullmatch(text.strip())
    kinds = {kind.value for kind in FaultKind}
    if match is None or match["kind"] not in kinds:
        raise BadSettings(f"{text!r} is not a fault such as start:3:host-fault")
    return Fault(
        verb=match["verb"],
        nth=int(match["nth"]),
        kind=FaultKind(match["kind"]),
        every=bool(match["every"]),
    )


def parse_size(text: str) -> int:
    """Bytes of ``1024B``, ``10KB``, ``140MB`` or ``45GB``. Raises BadSettings."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BadSettings(f"{text!r} is not a size such as 45GB")
    unit = match[2].upper()
    return int(float(match[1]) * _UNITS[unit if unit.endswith("B") or not unit else unit + "B"])
