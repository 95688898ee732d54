"""What the VMs of one node share: who the node is, and with what it works."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chassis.clock import Clock
from chassis.log_shipping import LogShipping
from node_agent.drivers.port import STATE_SECONDS, VmDriver
from node_agent.failure_logs import FailureLogs
from node_agent.image_cache import ImageCache
from node_agent.journal import Journal
from node_agent.publisher import Publisher
from node_agent.workers import Workers

if TYPE_CHECKING:
    from node_agent.vm import Vm


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds: to clone and boot a VM, to wait for its address, to make an image of it.

    ``state``: for its memory to be read, beyond ``start``, where a VM goes on as it was suspended.
    ``whole_save``: for a save that says no time. ``registry_tries``: how often a request of a push
    is tried without any progress; these take some minutes.
    """

    start: float = 90.0
    network: float = 60.0
    network_poll: float = 0.5
    save: float = 1800.0
    state: float = STATE_SECONDS
    whole_save: float = 7200.0
    registry_tries: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One node of this process. ``unsettled``: VMs that some deadline watches.

    ``root_token`` is presented to registries.

    ``shipping`` is None where the agent's log stays here.
    """

    node_id: str
    name: str
    address: str
    vm_prefix: str
    driver: VmDriver
    images: ImageCache
    workers: Workers
    journal: Journal
    publisher: Publisher
    clock: Clock
    failure_logs: FailureLogs
    root_token: str = ""
    shipping: LogShipping | None = None
    limits: Limits = Limits()
    unsettled: set["Vm"] = field(default_factory=set)
