"""What the scheduler keeps in the database, and how it reads it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from chassis.auth.store import AccessStore
from chassis.store.port import (
    Delete,
    Index,
    Store,
    Update,
    UpdateMany,
    plain,
)
from contracts.configuration import CLOUD as CLOUD_SETTINGS
from contracts.configuration import ConfigurationDocument, as_the_services_were_set
from contracts.groups import GroupDocument
from contracts.images import ImageRequestDocument, ImageState
from contracts.instances import InstanceDocument
from contracts.macs import POOL, MacPoolDocument
from contracts.nodes import NodeDocument
from contracts.pools import PoolDocument
from contracts.stats import StatsDocument
from contracts.templates import TemplateDocument
from scheduler.domain.image_request import ImageRequest
from scheduler.domain.instance import Instance
from scheduler.domain.macs import MacPool
from scheduler.domain.node import Node
from scheduler.domain.subject import Subject

INSTANCES = "instances"
NODES = "nodes"
IMAGE_REQUESTS = "image_requests"
MAC_POOL = "mac_pool"
GROUPS = "groups"
POOLS = "pools"
TEMPLATES = "templates"
ENDED = "ended"
CLOUD = "cloud"
CONFIGURATION = "configuration"
STATS_COLLECTION = "stats"

COLLECTIONS: Mapping[type[Subject], str] = {
    Instance: INSTANCES,
    Node: NODES,
    ImageRequest: IMAGE_REQUESTS,
    MacPool: MAC_POOL,
}
"""Where the subjects that the scheduler owns are stored."""

_KEEP_TOMBSTONES = 30 * 24 * 3600
_FINISHED = {"status.state": {"$in": [ImageState.DONE, ImageState.ERROR]}}

_WITH_ADDRESS: dict[str, Any] = {"mac_address": {"$exists": True}}

INDEXES = (
    *(
        Index(collection=collection, keys=(("pending", 1),), partial={"pending": True})
        for collection in (INSTANCES, NODES, IMAGE_REQUESTS)
    ),
    Index(collection=IMAGE_REQUESTS, keys=(("status.state", 1), ("status.changed", 1))),
    Index(collection=ENDED, keys=(("at", 1),), expire_seconds=_KEEP_TOMBSTONES),
    Index(collection=ENDED, keys=(("mac_address", 1),), partial=_WITH_ADDRESS),
)


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that has ended; a VM of it that shows up is ordered away.

    With an address: its node was silent then, and a VM may be left there.
    """

    id: str = msgspec.field(name="_id")
    at: datetime
    node_id: str = ""
    mac_address: str = ""


class CloudDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of this database: VMs carry it."""

    id: str = msgspec.field(name="_id")
    cloud_id: str


class SchedulerStore:
    """Named questions and writes; all collections above."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.access = AccessStore(store)

    async def start(self) -> None:
        """Make sure the indexes exist."""
        await self._store.start(INDEXES)

    async def stop(self) -> None:
        """Nothing of its own to close."""

    async def cloud_id(self, fresh: str) -> str:
        """The cloud's id; ``fresh`` when it has none yet."""
        found = await self._store.change(
            CLOUD,
            CloudDocument,
            {"_id": "cloud"},
            [{"$set": {"cloud_id": {"$ifNull": ["$cloud_id", fresh]}}}],
            upsert=True,
        )
        assert found is not None
        return found.cloud_id

    async def nodes(self) -> list[NodeDocument]:
        """All nodes."""
        return await self._store.find(NODES, NodeDocument, {})

    async def groups(self) -> list[GroupDocument]:
        """All node groups."""
        return await self._store.find(GROUPS, GroupDocument, {})

    async def configuration(self) -> ConfigurationDocument:
        """What operators set for the whole cloud."""
        found = await self._store.get(CONFIGURATION, ConfigurationDocument, CLOUD_SETTINGS)
        return found or as_the_services_were_set()

    async def pools(self) -> dict[str, PoolDocument]:
        """All pools, by id."""
        return {pool.id: pool for pool in await self._store.find(POOLS, PoolDocument, {})}

    async def instances(self) -> list[InstanceDocument]:
        """All instances."""
        return await self._store.find(INSTANCES, InstanceDocument, {})

    async def instances_by_id(self, ids: Iterable[str]) -> list[InstanceDocument]:
        """Those that exist."""
        return await self._store.find(INSTANCES, InstanceDocument, {"_id": {"$in": list(ids)}})

    async def tombstones(self, ids: Iterable[str]) -> set[str]:
        """Which of these are known as ended."""
        found = await self._store.find(ENDED, Tombstone, {"_id": {"$in": list(ids)}})
        return {tombstone.id for tombstone in found}

    async def forsaken(self) -> list[Tombstone]:
        """Those that ended while their node was silent, with the address of the VM."""
        return await self._store.find(ENDED, Tombstone, _WITH_ADDRESS)

    async def pending_instances(self) -> list[InstanceDocument]:
        """Instances with a wish that no status write has observed."""
        return await self._store.find(INSTANCES, InstanceDocument, {"pending": True}, limit=2000)

    async def pending_nodes(self) -> list[NodeDocument]:
        """Nodes with a wish that no status write has observed."""
        return await self._store.find(NODES, NodeDocument, {"pending": True}, limit=2000)

    async def mac_pool(self) -> MacPoolDocument | None:
        """The pool of MAC addresses, if they were ever managed."""
        return await self._store.get(MAC_POOL, MacPoolDocument, POOL)

    async def write_stats(self, stats: StatsDocument) -> None:
        """Show how busy the scheduler is; the newest word stands."""
        sets = {name: value for name, value in plain(stats).items() if name != "_id"}
        await self._store.write(
            [
                Update(
                    collection=STATS_COLLECTION,
                    where={"_id": stats.id},
                    change={"$set": sets},
                    required=False,
                    upsert=True,
                )
            ]
        )

    async def images_to_recall(self) -> list[ImageRequestDocument]:
        """Image requests that have not ended, or whose end may not have been told."""
        where = {"$or": [{"$nor": [_FINISHED]}, {"outbox.id": {"$exists": True}}]}
        return await self._store.find(IMAGE_REQUESTS, ImageRequestDocument, where)

    async def images_by_id(self, ids: Iterable[str]) -> list[ImageRequestDocument]:
        """Those that exist."""
        return await self._store.find(
            IMAGE_REQUESTS, ImageRequestDocument, {"_id": {"$in": list(ids)}}
        )

    async def pending_images(self) -> list[ImageRequestDocument]:
        """Image requests that no status write has observed."""
        return await self._store.find(
            IMAGE_REQUESTS, ImageRequestDocument, {"pending": True}, limit=2000
        )

    async def forget_images(self, before: datetime) -> None:
        """Remove image requests that ended, and were told to have ended, before this moment."""
        where = _FINISHED | {"status.changed": {"$lt": before}, "outbox.id": {"$exists": False}}
        await self._store.write([Delete(collection=IMAGE_REQUESTS, where=where)])

    async def templates(self, ids: Iterable[str]) -> dict[str, TemplateDocument]:
        """The registry's templates with these ids, as they are now."""
        found = await self._store.find(TEMPLATES, TemplateDocument, {"_id": {"$in": list(ids)}})
        return {template.id: template for template in found}

    async def forget_said(self, collection: str, said: dict[str, list[str]]) -> None:
        """Drop confirmed messages from outboxes: document id to message ids."""
        ids = [identity for messages in said.values() for identity in messages]
        await self._store.write(
            [
                UpdateMany(
                    collection=collection,
                    where={"_id": {"$in": list(said)}},
                    change={"$pull": {"outbox": {"id": {"$in": ids}}}},
                )
            ]
        )
