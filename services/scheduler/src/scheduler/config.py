"""Settings of the scheduler. Durations in seconds."""

from collections.abc import Mapping
from typing import ClassVar

from chassis.config import BadSettings, Settings
from contracts.macs import mac_number
from scheduler.domain.limits import Limits
from scheduler.domain.macs import MacRange
from scheduler.domain.weighers import Strategy

_BELOW_FIRST_OCTET = 40


class SchedulerSettings(Settings, frozen=True, kw_only=True):
    """See Limits for the times; ``lease_seconds``: a silent leader is succeeded after it.

    ``keep_image_requests``: how long one that has ended is still shown. ``registry_address``
    is where central logs go.
    ``manage_mac_addresses``: VMs get unique addresses of ``mac_addr_range`` (``FROM-TO``, both
    included).
    """

    ALIASES: ClassVar[Mapping[str, str]] = {
        "ANKA_MANAGE_MAC_ADDRESSES": "manage_mac_addresses",
        "ANKA_MAC_ADDR_RANGE": "mac_addr_range",
    }

    metrics_port: int = 2113
    registry_address: str = "http://127.0.0.1:8089"
    strategy: Strategy = Strategy.SPREAD
    lease_seconds: float = 6.0
    start_seconds: float = 3600.0
    validity_seconds: float = 120.0
    skew_seconds: float = 5.0
    node_active_timeout: float = 120.0
    instance_time_out: float = 60.0
    save_seconds: float = 6 * 3600.0
    ageing_seconds: float = 3600.0
    keep_image_requests: float = 7 * 24 * 3600.0
    start_attempts: int = 5
    unknown_vm_threshold: int = 30
    heartbeat_seconds: float = 5.0
    sweep_seconds: float = 5.0
    stats_seconds: float = 5.0
    manage_mac_addresses: bool = False
    mac_addr_range: str = "02:C0:A1:00:00:00-02:C0:A1:00:FF:FF"

    def limits(self) -> Limits:
        """The times and counts by which the domain decides."""
        return Limits(
            start=self.start_seconds,
            validity=self.validity_seconds,
            skew=self.skew_seconds,
            offline=self.node_active_timeout,
            keep=self.instance_time_out,
            save=self.save_seconds,
            ageing=self.ageing_seconds,
            attempts=self.start_attempts,
            unknown_reports=self.unknown_vm_threshold,
            heartbeat=self.heartbeat_seconds,
        )

    def macs(self) -> MacRange | None:
        """Addresses that are handed out, if they are managed. BadSettings."""
        return parse_range(self.mac_addr_range) if self.manage_mac_addresses else None


def parse_range(text: str) -> MacRange:
    """``02:C0:A1:00:00:00-02:C0:A1:00:FF:FF``: of network cards, so of one even first octet."""
    first, last = (mac_number(part.strip()) for part in text.partition("-")[::2])
    if first is not None and last is not None and first <= last:
        octet = first >> _BELOW_FIRST_OCTET
        if octet % 2 == 0 and octet == last >> _BELOW_FIRST_OCTET:
            return MacRange(first, last)
    raise BadSettings(f"mac_addr_range: {text!r} is not FROM-TO, two addresses of network cards")
