"""How decisions become writes of one transaction."""

from collections.abc import Iterable
from datetime import datetime

from chassis.store.port import Delete, Insert, Update, UpdateMany, Write, literal_update
from contracts.instances import InstanceDocument
from contracts.macs import MacPoolDocument
from contracts.nodes import NodeDocument
from scheduler.domain.image_request import ImageRequest
from scheduler.domain.instance import Instance
from scheduler.domain.macs import MacPool
from scheduler.domain.node import Node
from scheduler.store import COLLECTIONS, ENDED, INSTANCES, MAC_POOL, NODES


def status_write(subject: Instance | Node | ImageRequest | MacPool) -> Update:
    """The status write that makes a decision durable; ``revision`` is the one written."""
    return Update(
        collection=COLLECTIONS[type(subject)],
        where={"_id": subject.id, "status_revision": subject.revision - 1},
        change=literal_update(
            {
                "status": subject.status,
                "status_revision": subject.revision,
                "outbox": subject.unsaid,
            },
            pending=_pending(subject.status.observed_generation),
        ),
    )


def instance_write(instance: Instance) -> Write:
    """The same for an instance; the first write of a member of a pool creates the document."""
    if not instance.fresh:
        return status_write(instance)
    instance.fresh = False
    return Insert(
        collection=INSTANCES,
        document=InstanceDocument(
            id=instance.id,
            created=instance.created,
            generation=instance.generation,
            status_revision=instance.revision,
            spec=instance.spec,
            status=instance.status,
            outbox=tuple(instance.unsaid),
        ),
    )


def retirements(members: Iterable[Instance]) -> list[Write]:
    """Wish members of pools gone as a gateway would, but for those claimed meanwhile."""
    ids = [member.id for member in members]
    if not ids:
        return []
    where = {
        "_id": {"$in": ids},
        "spec.pool_id": {"$exists": True},
        "spec.terminate": {"$ne": True},
    }
    change = {"$set": {"spec.terminate": True, "pending": True}, "$inc": {"generation": 1}}
    return [UpdateMany(collection=INSTANCES, where=where, change=change)]


def node_write(node: Node) -> Write:
    """The same for a node; its first write creates the document."""
    if node.revision == 1:
        return Insert(
            collection=NODES,
            document=NodeDocument(
                id=node.id,
                created=node.created,
                generation=node.generation,
                status_revision=1,
                spec=node.spec,
                status=node.status,
                outbox=tuple(node.unsaid),
            ),
        )
    return status_write(node)


def pool_write(pool: MacPool) -> Write:
    """The same for the pool of MAC addresses."""
    if pool.revision == 1:
        return Insert(
            collection=MAC_POOL,
            document=MacPoolDocument(
                id=pool.id,
                created=pool.created,
                generation=pool.generation,
                status_revision=1,
                spec=pool.spec,
                status=pool.status,
                outbox=tuple(pool.unsaid),
            ),
        )
    return status_write(pool)


def removals(instances: Iterable[Instance], now: datetime) -> list[Write]:
    """Remove ended records; a tombstone stays of each that may have left a VM somewhere."""
    gone = list(instances)
    if not gone:
        return []
    stones: list[Write] = [
        Update(
            collection=ENDED,
            where={"_id": instance.id},
            change={"$set": {"at": now} | _left_behind(instance)},
            required=False,
            upsert=True,
        )
        for instance in gone
        if instance.status.attempt
    ]
    return [Delete(collection=INSTANCES, where={"_id": {"$in": [i.id for i in gone]}}), *stones]


def _left_behind(instance: Instance) -> dict[str, str]:
    status = instance.status
    if not (status.lost and status.mac_address):
        return {}
    return {"node_id": status.node_id, "mac_address": status.mac_address}


def node_removals(nodes: Iterable[Node]) -> list[Write]:
    """Remove the records of nodes."""
    ids = [node.id for node in nodes]
    return [Delete(collection=NODES, where={"_id": {"$in": ids}})] if ids else []


def _pending(observed: int) -> dict[str, object]:
    return {"$cond": [{"$gt": ["$generation", observed]}, True, "$$REMOVE"]}
