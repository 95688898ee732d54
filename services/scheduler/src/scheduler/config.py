"""Settings of the scheduler. Durations in seconds."""

from chassis.config import Settings
from scheduler.domain.limits import Limits
from scheduler.domain.weighers import Strategy


class SchedulerSettings(Settings, frozen=True, kw_only=True):
    """See Limits for the times; ``lease_seconds``: a silent leader is succeeded after it.

    ``keep_image_requests``: how long one that has ended is still shown. ``registry_address``
    is where central logs go.
    """

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
    keep_image_requests: float = 7 * 24 * 3600.0
    start_attempts: int = 5
    unknown_vm_threshold: int = 30
    heartbeat_seconds: float = 5.0
    sweep_seconds: float = 5.0

    def limits(self) -> Limits:
        """The times and counts by which the domain decides."""
        return Limits(
            start=self.start_seconds,
            validity=self.validity_seconds,
            skew=self.skew_seconds,
            offline=self.node_active_timeout,
            keep=self.instance_time_out,
            save=self.save_seconds,
            attempts=self.start_attempts,
            unknown_reports=self.unknown_vm_threshold,
            heartbeat=self.heartbeat_seconds,
        )
