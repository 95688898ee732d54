"""The gateway's collections, their indexes, and the documents that are its own."""

from datetime import datetime

import msgspec

from chassis.store.port import Index
from contracts.documents import Said

INSTANCES = "instances"
NODES = "nodes"
GROUPS = "groups"
POOLS = "pools"
TEMPLATES = "templates"
IDEMPOTENCY = "idempotency"
DISTRIBUTIONS = "distributions"
IMAGE_REQUESTS = "image_requests"
MAC_POOL = "mac_pool"
STATS = "stats"
CONFIGURATION = "configuration"
OUTBOX = "gateway_outbox"
REVISIONS = "revisions"
EVENTS = "events"
ENDPOINTS = "endpoints"
DELIVERIES = "deliveries"

IDEMPOTENCY_SECONDS = 24 * 3600

WITHOUT_OUTBOX = ("generation", "status_revision", "created", "pending", "spec", "status")
"""The fields of a document; its outbox is its owner's, and may be long."""

INDEXES = (
    Index(collection=INSTANCES, keys=(("pending", 1),), partial={"pending": True}),
    Index(
        collection=INSTANCES,
        keys=(("spec.template.digest", 1),),
        partial={"spec.pool_id": {"$exists": True}},
    ),
    Index(collection=IDEMPOTENCY, keys=(("at", 1),), expire_seconds=IDEMPOTENCY_SECONDS),
    Index(collection=DISTRIBUTIONS, keys=(("created", 1), ("_id", 1))),
    Index(collection=IMAGE_REQUESTS, keys=(("created", 1), ("_id", 1))),
    Index(collection=OUTBOX, keys=(("at", 1),)),
)


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """A POST that carried an idempotency key: the hash of its body and what it made."""

    id: str = msgspec.field(name="_id")
    sha256: str
    instance_ids: tuple[str, ...]
    at: datetime


class Unsaid(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the bus has not confirmed yet; a ``command`` waits until somebody hears it."""

    id: str = msgspec.field(name="_id")
    said: Said
    at: datetime
    command: bool = False


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """The counters of a document, to see whether a projection is behind."""

    id: str = msgspec.field(name="_id")
    generation: int = 1
    status_revision: int = 0
    revision: int | None = None

    @property
    def mark(self) -> tuple[int, int]:
        """As projections count: templates have one counter, all else two."""
        if self.revision is not None:
            return self.revision, 0
        return self.generation, self.status_revision


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """Counts the writes to a collection whose documents are read as a whole."""

    id: str = msgspec.field(name="_id")
    revision: int = 0
