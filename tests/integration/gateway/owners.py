"""What the registry and the scheduler would write of distributions and saves of images."""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from chassis.store.port import Store, literal_update
from contracts.distributions import DistributionDocument
from contracts.images import ImageRequestDocument

DocumentT = TypeVar("DocumentT", DistributionDocument, ImageRequestDocument)


async def move_distribution(store: Store, identity: str, **changes: Any) -> DistributionDocument:
    """Write a new status of a distribution, having seen its wish."""
    return await _move(store, "distributions", DistributionDocument, identity, changes)


async def move_image(store: Store, identity: str, **changes: Any) -> ImageRequestDocument:
    """Write a new status of a save, having seen its wish."""
    return await _move(store, "image_requests", ImageRequestDocument, identity, changes)


async def _move(
    store: Store, collection: str, kind: type[DocumentT], identity: str, changes: dict[str, Any]
) -> DocumentT:
    document = await store.get(collection, kind, identity)
    assert document is not None
    seen = {"observed_generation": document.generation, "changed": datetime.now(UTC)}
    status = msgspec.structs.replace(document.status, **(seen | changes))
    revision = document.status_revision + 1
    change = literal_update({"status": status, "status_revision": revision, "pending": False})
    where = {"_id": identity, "status_revision": document.status_revision}
    moved = await store.change(collection, kind, where, change)
    assert moved is not None
    return moved
