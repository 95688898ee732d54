"""What the gateway counts, beside its requests."""

from prometheus_client import Counter, Gauge

from chassis.telemetry import UNCONFIRMED

ACCEPTED = Counter("corral_gateway_instances_accepted_total", "Instances made by requests.")
DROPPED = Counter(
    "corral_gateway_commands_dropped_total", "Wake-ups not published; the scheduler's sweep helps."
)
FRESH = Gauge("corral_gateway_projection_fresh", "1 while messages keep the projection current.")
REACHABLE = Gauge("corral_gateway_registry_reachable", "1 while the registry answers the gateway.")
UNSENT = UNCONFIRMED.labels("gateway")
