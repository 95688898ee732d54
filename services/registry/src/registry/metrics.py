"""What the registry counts."""

from prometheus_client import Counter, Gauge

SENT = Counter("corral_registry_blob_sent_bytes_total", "Bytes of blobs sent to clients.")
RECEIVED = Counter("corral_registry_blob_received_bytes_total", "Bytes of blobs received.")
UPLOADS = Counter("corral_registry_uploads_total", "Uploads by how they ended.", ["outcome"])
PULLS = Counter("corral_registry_pulls_total", "Manifests fetched.")
DISK_FREE = Gauge("corral_registry_disk_free_bytes", "Free bytes of the blobs' disk.")
DISK_TOTAL = Gauge("corral_registry_disk_total_bytes", "Bytes of the blobs' disk.")
LOG_BYTES = Counter("corral_registry_log_bytes_total", "Bytes appended to the central logs.")
