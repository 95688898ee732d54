"""What the registry counts."""

from prometheus_client import Counter, Gauge

from chassis.telemetry import UNCONFIRMED

SENT = Counter("corral_registry_blob_sent_bytes_total", "Bytes of blobs sent to clients.")
RECEIVED = Counter("corral_registry_blob_received_bytes_total", "Bytes of blobs received.")
UPLOADS = Counter("corral_registry_uploads_total", "Uploads by how they ended.", ["outcome"])
PULLS = Counter("corral_registry_pulls_total", "Manifests fetched.")
COLLECTED = Counter("corral_registry_collected_total", "What was garbage, by kind.", ["kind"])
FREED = Counter("corral_registry_freed_bytes_total", "Bytes of blobs removed as garbage.")
SCRUBBED = Counter("corral_registry_scrubbed_bytes_total", "Bytes of blobs read to check them.")
CORRUPT = Counter("corral_registry_blobs_corrupt_total", "Blobs found corrupt and set aside.")
MISSING = Counter("corral_registry_blobs_missing_total", "Blobs found missing though needed.")
UNREADABLE = Counter(
    "corral_registry_blobs_unreadable_total", "Checks of blobs that the disk did not let be read."
)
DISK_FREE = Gauge("corral_registry_disk_free_bytes", "Bytes free for blobs, quota included.")
DISK_TOTAL = Gauge("corral_registry_disk_total_bytes", "Bytes there are for blobs.")
LOG_BYTES = Counter("corral_registry_log_bytes_total", "Bytes appended to the central logs.")
UNSENT = UNCONFIRMED.labels("registry")
