"""The scheduler's own metrics."""

from prometheus_client import Counter, Gauge

COMMITS = Counter("corral_scheduler_commits_total", "Transactions committed.")
DECISIONS = Counter("corral_scheduler_status_writes_total", "Instance status writes.")
EPOCH = Gauge("corral_scheduler_epoch", "Fencing epoch while leading, 0 while standing by.")
UNSENT = Gauge("corral_scheduler_unsent_messages", "Committed messages the bus has not confirmed.")
INSTANCES = Gauge("corral_scheduler_instances", "Instances known.", ["state"])
NODES = Gauge("corral_scheduler_nodes", "Nodes known.", ["state"])
WAITING = Gauge("corral_scheduler_waiting", "Instances that wait for a node.")
