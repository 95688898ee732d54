"""What the agent counts."""

from prometheus_client import Counter, Gauge

from chassis.telemetry import UNCONFIRMED

STARTS = Counter("corral_agent_starts_total", "Attempts that ended.", ["outcome"])
NODES = Gauge("corral_agent_nodes", "Nodes that this process serves.")
VMS = Gauge("corral_agent_vms", "Instances the agent knows.", ["phase"])
UNSENT = UNCONFIRMED.labels("node-agent")
UNSETTLED = Gauge("corral_agent_unsettled_vms", "Attempts under way or not yet confirmed.")
JOURNAL_SECONDS = Counter("corral_agent_journal_seconds_total", "Time spent writing the journal.")
JOURNAL_GROUPS = Counter("corral_agent_journal_groups_total", "Groups written to the journal.")
FETCHED = Counter(
    "corral_agent_blob_fetched_bytes_total", "Bytes of blobs by where they came from.", ["source"]
)
SERVED = Counter("corral_agent_blobs_served_total", "Blobs that neighbours asked for and got.")
