"""Distributions and the nodes they go to, as the registry reads and writes them."""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from chassis.store.port import Index, Store, Update, Write, literal_update
from contracts.distributions import DistributionDocument, DistributionStatus
from contracts.nodes import NodeState
from registry.domain.distribution import Node
from registry.store import NODES

DISTRIBUTIONS = "distributions"

_KEEP_FINISHED = 7 * 24 * 3600
_FIELDS = (
    "spec.groups",
    "spec.remove",
    "status.state",
    "status.groups",
    "status.left",
    "status.facts.queue",
    "status.facts.peer_address",
)

_PEERS = {"status.facts.peer_address": {"$exists": True}}
_CACHED = ("status.facts.templates.digest", "status.facts.templates.layers")

INDEXES = (
    Index(collection=DISTRIBUTIONS, keys=(("pending", 1),), partial={"pending": True}),
    Index(collection=DISTRIBUTIONS, keys=(("status.finished", 1),), expire_seconds=_KEEP_FINISHED),
    Index(collection=DISTRIBUTIONS, keys=(("spec.template.digest", 1),)),
    *(Index(collection=NODES, keys=((field, 1),), partial=_PEERS) for field in _CACHED),
)


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    groups: tuple[str, ...] | None = None
    remove: bool = False


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    queue: str = ""
    peer_address: str = ""


class _World(msgspec.Struct, frozen=True, kw_only=True):
    state: NodeState = NodeState.ACTIVE
    groups: tuple[str, ...] = ()
    left: bool = False
    facts: _Facts = _Facts()


class TargetNode(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a NodeDocument that distributions look at; it is the scheduler's."""

    id: str = msgspec.field(name="_id")
    spec: _Wish = _Wish()
    status: _World = _World()

    @property
    def online(self) -> bool:
        """Whether the scheduler hears it."""
        return self.status.state is not NodeState.OFFLINE

    @property
    def gone(self) -> bool:
        """Whether it left, or was removed."""
        return self.spec.remove or self.status.left

    @property
    def peer_address(self) -> str:
        """Where its neighbours fetch from it, if they may."""
        return self.status.facts.peer_address

    def as_target(self) -> Node:
        """As the domain takes it."""
        groups = self.status.groups if self.spec.groups is None else self.spec.groups
        return Node(
            id=self.id,
            queue=self.status.facts.queue,
            online=self.online,
            groups=groups,
            peer=bool(self.peer_address),
        )


class DistributionStore:
    """Typed questions over the store port."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start(self) -> None:
        """Make sure the indexes exist."""
        await self._store.start(INDEXES)

    async def stop(self) -> None:
        """Nothing: whoever opened the store closes it."""

    async def some(self, ids: Collection[str]) -> dict[str, DistributionDocument]:
        """Those of these that exist."""
        return _by_id(await self._find({"_id": {"$in": list(ids)}}))

    async def open(self) -> dict[str, DistributionDocument]:
        """Every one that is not finished, or whose wish was not observed."""
        found = await self._find({"status.finished": None})
        return _by_id(found + await self._find({"pending": True}))

    async def of_digests(self, digests: Sequence[str]) -> list[DistributionDocument]:
        """Those that send a manifest with one of these digests."""
        return await self._find({"spec.template.digest": {"$in": list(digests)}})

    async def nodes(self, ids: Collection[str] | None = None) -> dict[str, TargetNode]:
        """These nodes, or all; without those that are gone."""
        where = {} if ids is None else {"_id": {"$in": list(ids)}}
        found = await self._store.find(NODES, TargetNode, where, fields=_FIELDS)
        return {node.id: node for node in found if not node.gone}

    async def holders(self, digests: Sequence[str]) -> list[TargetNode]:
        """Nodes that serve others and say that they have one of these manifests or layers."""
        where = {"$or": [{field: {"$in": list(digests)}} | _PEERS for field in _CACHED]}
        return await self._store.find(NODES, TargetNode, where, fields=_FIELDS)

    async def _find(self, where: dict[str, object]) -> list[DistributionDocument]:
        return await self._store.find(DISTRIBUTIONS, DistributionDocument, where)


def put_status(old: DistributionDocument, status: DistributionStatus) -> Write:
    """The write that moves a status on, provided nobody else did meanwhile."""
    observed = status.observed_generation
    pending = {"$cond": [{"$gt": ["$generation", observed]}, True, "$$REMOVE"]}
    return Update(
        collection=DISTRIBUTIONS,
        where={"_id": old.id, "status_revision": old.status_revision},
        change=literal_update(
            {"status": status, "status_revision": old.status_revision + 1}, pending=pending
        ),
    )


def _by_id(found: Iterable[DistributionDocument]) -> dict[str, DistributionDocument]:
    return {document.id: document for document in found}
