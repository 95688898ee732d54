"""Every read and write of the gateway in the database: wishes only, field by field.

A wish is written with ``$set`` of its own fields and a grown generation, never as a whole document
and never from a projection's copy; the world is its owner's to write.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from api_gateway.documents import (
    GROUPS,
    IDEMPOTENCY,
    INDEXES,
    INSTANCES,
    NODES,
    OUTBOX,
    REVISIONS,
    STATS,
    TEMPLATES,
    WITHOUT_OUTBOX,
    Marks,
    Remembered,
    Revision,
    Unsaid,
)
from api_gateway.wishes import GROWN, in_group, regrouping, wish
from chassis.store.port import Delete, Insert, Store, Update, UpdateMany, Write
from contracts.groups import GroupDocument
from contracts.instances import InstanceDocument, InstanceState
from contracts.nodes import NodeDocument
from contracts.stats import STATS as SCHEDULER_STATS
from contracts.stats import StatsDocument
from contracts.templates import TemplateDocument

RESTARTABLE = (InstanceState.STARTED, InstanceState.STOPPED)


class GatewayStore:
    """The gateway's questions and wishes, over the store port. All raise StoreDown."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start(self) -> None:
        """Make sure of the indexes."""
        await self._store.start(INDEXES)

    async def marks(self, collection: str) -> dict[str, tuple[int, int]]:
        """Id to counters, of every document."""
        fields = ("generation", "status_revision", "revision")
        return {m.id: m.mark for m in await self._store.find(collection, Marks, {}, fields=fields)}

    async def instances(self, ids: Sequence[str]) -> list[InstanceDocument]:
        """These instances, oldest first."""
        where = {"_id": {"$in": list(ids)}}
        found = await self._store.find(INSTANCES, InstanceDocument, where, fields=WITHOUT_OUTBOX)
        return sorted(found, key=lambda document: document.created)

    async def pending_instances(self) -> list[InstanceDocument]:
        """Instances with a wish that their owner has not seen yet."""
        return await self._store.find(
            INSTANCES, InstanceDocument, {"pending": True}, fields=WITHOUT_OUTBOX
        )

    async def pending_generations(self) -> dict[str, int]:
        """Id to generation, of instances with a wish that their owner has not seen yet."""
        where, fields = {"pending": True}, ("generation",)
        found = await self._store.find(INSTANCES, Marks, where, fields=fields)
        return {marks.id: marks.generation for marks in found}

    async def instance(self, identity: str) -> InstanceDocument | None:
        """One instance."""
        return await self._store.get(INSTANCES, InstanceDocument, identity)

    async def nodes(self, ids: Sequence[str]) -> list[NodeDocument]:
        """These nodes."""
        where = {"_id": {"$in": list(ids)}}
        return await self._store.find(NODES, NodeDocument, where, fields=WITHOUT_OUTBOX)

    async def node(self, identity: str) -> NodeDocument | None:
        """One node."""
        return await self._store.get(NODES, NodeDocument, identity)

    async def templates(self, ids: Sequence[str]) -> list[TemplateDocument]:
        """These templates."""
        where = {"_id": {"$in": list(ids)}}
        return await self._store.find(TEMPLATES, TemplateDocument, where, sort=[("_id", 1)])

    async def template(self, identity: str) -> TemplateDocument | None:
        """One template."""
        return await self._store.get(TEMPLATES, TemplateDocument, identity)

    async def groups(self) -> list[GroupDocument]:
        """All node groups."""
        return await self._store.find(GROUPS, GroupDocument, {}, sort=[("_id", 1)])

    async def remembered(self, key: str) -> Remembered | None:
        """What an idempotency key stands for."""
        return await self._store.get(IDEMPOTENCY, Remembered, key)

    async def insert_one_by_one(self, documents: Sequence[InstanceDocument]) -> None:
        """Add instances that are each a request of their own, in one round trip."""
        await self._store.insert(INSTANCES, documents)

    async def insert_together(
        self,
        documents: Sequence[InstanceDocument],
        remembered: Remembered | None = None,
        claims: Sequence[Write] = (),
    ) -> None:
        """Add and claim instances, all or none.

        Conflict when the idempotency key was used meanwhile, or an instance cannot be claimed.
        """
        writes = list(claims)
        if remembered is not None:
            writes.append(Insert(collection=IDEMPOTENCY, document=remembered))
        writes += [Insert(collection=INSTANCES, document=document) for document in documents]
        await self._store.transact(writes)

    async def withdraw(
        self, ids: Sequence[str], request_id: str, of_request: str | None = None
    ) -> None:
        """End what a user was told to have failed; with ``of_request`` only what it made."""
        change = {
            "$set": {"spec.terminate": True, "spec.request_id": request_id, "pending": True},
            **GROWN,
        }
        where: dict[str, Any] = {"_id": {"$in": list(ids)}, "spec.terminate": {"$ne": True}}
        if of_request is not None:
            where["spec.start_request_id"] = of_request
        await self._store.write([UpdateMany(collection=INSTANCES, where=where, change=change)])

    async def terminate(
        self, identity: str, actor: str, request_id: str
    ) -> InstanceDocument | None:
        """Wish an instance gone; None when it is unknown or the wish is not new."""
        return await self._store.change(
            INSTANCES,
            InstanceDocument,
            {"_id": identity, "spec.terminate": {"$ne": True}},
            {"$set": wish(actor, request_id, {"terminate": True}), **GROWN},
        )

    async def restart(
        self, identity: str, actor: str, request_id: str, overrides: Mapping[str, str]
    ) -> InstanceDocument | None:
        """Wish one more restart; None when the instance is in no state for it."""
        sets = {f"overrides.{name}": value for name, value in overrides.items()}
        return await self._store.change(
            INSTANCES,
            InstanceDocument,
            {
                "_id": identity,
                "spec.terminate": {"$ne": True},
                "status.state": {"$in": list(RESTARTABLE)},
            },
            {
                "$set": wish(actor, request_id, sets),
                "$inc": {"generation": 1, "spec.restarts": 1},
            },
        )

    async def label(
        self, identity: str, sets: Mapping[str, Any], metadata: Mapping[str, Any] | None
    ) -> InstanceDocument | None:
        """Change what nobody acts on, and ``ttl``; metadata keys given replace, others stay."""
        stage: dict[str, Any] = {f"spec.{k}": {"$literal": v} for k, v in sets.items()}
        if metadata is not None:
            known = {"$ifNull": ["$spec.metadata", {}]}
            stage["spec.metadata"] = {"$mergeObjects": [known, {"$literal": dict(metadata)}]}
        if "ttl" in sets:
            stage["pending"] = True
        stage["generation"] = {"$add": ["$generation", 1]}
        return await self._store.change(
            INSTANCES, InstanceDocument, {"_id": identity}, [{"$set": stage}]
        )

    async def configure_node(
        self, identity: str, actor: str, request_id: str, sets: Mapping[str, Any]
    ) -> NodeDocument | None:
        """Set parts of a node's wish; None when there is no such node."""
        return await self._store.change(
            NODES,
            NodeDocument,
            {"_id": identity, "spec.remove": {"$ne": True}},
            {"$set": wish(actor, request_id, sets), **GROWN},
        )

    async def upgrade_nodes(
        self, version: str, actor: str, request_id: str, only: frozenset[str] | None = None
    ) -> list[NodeDocument]:
        """Wish an upgrade of every agent, or of some nodes'; the nodes with that wish."""
        where: dict[str, Any] = {"spec.remove": {"$ne": True}, "status.left": {"$ne": True}}
        if only is not None:
            where["_id"] = {"$in": sorted(only)}
        change = {
            "$set": wish(actor, request_id, {"upgrade_to": version}),
            "$inc": {"generation": 1, "spec.upgrades": 1},
        }
        await self._store.write([UpdateMany(collection=NODES, where=where, change=change)])
        return await self._store.find(NODES, NodeDocument, where, fields=WITHOUT_OUTBOX)

    async def regroup_nodes(
        self, node_ids: Sequence[str], groups: Mapping[str, Any], actor: str, request_id: str
    ) -> None:
        """Set the groups of several nodes by an expression, all or none (Conflict)."""
        change = regrouping(groups, actor, request_id)
        await self._store.transact(
            [
                Update(
                    collection=NODES,
                    where={"_id": node_id, "spec.remove": {"$ne": True}},
                    change=change,
                )
                for node_id in node_ids
            ]
        )

    async def nodes_in_group(self, group_id: str) -> list[str]:
        """Ids of the nodes that are effectively in a group."""
        found = await self._store.find(NODES, Marks, in_group(group_id), fields=("generation",))
        return [node.id for node in found]

    async def groups_revision(self) -> int:
        """Grows with every write to the groups."""
        found = await self._store.get(REVISIONS, Revision, GROUPS)
        return found.revision if found else 0

    async def write_groups(self, revision: int, writes: Sequence[Write]) -> None:
        """Change groups as one, on the groups as of ``revision``; Conflict when they moved on."""
        if revision == 0:
            await self._store.write(
                [
                    Update(
                        collection=REVISIONS,
                        where={"_id": GROUPS},
                        change={"$setOnInsert": {"revision": 0}},
                        required=False,
                        upsert=True,
                    )
                ]
            )
        fence = Update(
            collection=REVISIONS,
            where={"_id": GROUPS, "revision": revision},
            change={"$inc": {"revision": 1}},
        )
        await self._store.transact([fence, *writes])

    async def stats(self) -> StatsDocument | None:
        """How busy the scheduler was when it last said so."""
        return await self._store.get(STATS, StatsDocument, SCHEDULER_STATS)

    async def unsaid(self, limit: int) -> list[Unsaid]:
        """The oldest messages that still have to be published."""
        return await self._store.find(OUTBOX, Unsaid, {}, sort=[("at", 1)], limit=limit)

    async def keep(self, writes: Sequence[Write]) -> None:
        """Make messages durable that no other document remembers."""
        await self._store.transact(writes)

    async def forget(self, ids: Sequence[str]) -> None:
        """These messages are confirmed."""
        await self._store.write([Delete(collection=OUTBOX, where={"_id": {"$in": list(ids)}})])
