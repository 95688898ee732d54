"""Distributions and saves of images in the database, and which nodes they mean.

These calls are rare and read here rather than from a projection: every gateway then shows what
any other has accepted, and "all nodes" are all there are.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from api_gateway.documents import DISTRIBUTIONS, IMAGE_REQUESTS, NODES, WITHOUT_OUTBOX, Marks
from api_gateway.wishes import in_group
from chassis.errors import NotFound
from chassis.store.port import Store
from contracts.distributions import DistributionDocument
from contracts.images import ImageRequestDocument

_OLDEST_FIRST = (("created", 1), ("_id", 1))
_STAYING = {"spec.remove": {"$ne": True}, "status.left": {"$ne": True}}

DocumentT = TypeVar("DocumentT", DistributionDocument, ImageRequestDocument)


class RequestStore:
    """What goes on for a while and is asked for by ``request_id``. All raise StoreDown."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add_distribution(self, document: DistributionDocument) -> None:
        """Accept a distribution."""
        await self._store.insert(DISTRIBUTIONS, [document])

    async def distributions(self) -> list[DistributionDocument]:
        """All, oldest first."""
        return await self._store.find(
            DISTRIBUTIONS, DistributionDocument, {}, sort=_OLDEST_FIRST, fields=WITHOUT_OUTBOX
        )

    async def distribution(self, identity: str) -> DistributionDocument:
        """One; NotFound."""
        return _found(await self._store.get(DISTRIBUTIONS, DistributionDocument, identity))

    async def cancel_distribution(self, identity: str, actor: str) -> bool:
        """Wish a distribution stopped; False when it has ended or the wish is not new."""
        wish = {"spec.cancel": True, "spec.canceled_by": actor, "pending": True}
        changed = await self._store.change(
            DISTRIBUTIONS,
            DistributionDocument,
            {"_id": identity, "spec.cancel": {"$ne": True}, "status.finished": None},
            {"$set": wish, "$inc": {"generation": 1}},
        )
        return changed is not None

    async def add_image(self, document: ImageRequestDocument) -> None:
        """Accept a request to save an image."""
        await self._store.insert(IMAGE_REQUESTS, [document])

    async def images(self) -> list[ImageRequestDocument]:
        """All, oldest first."""
        return await self._store.find(
            IMAGE_REQUESTS, ImageRequestDocument, {}, sort=_OLDEST_FIRST, fields=WITHOUT_OUTBOX
        )

    async def image(self, identity: str) -> ImageRequestDocument:
        """One; NotFound."""
        return _found(await self._store.get(IMAGE_REQUESTS, ImageRequestDocument, identity))

    async def all_nodes(self) -> tuple[str, ...]:
        """Ids of every node, in whatever state."""
        return await self._nodes({})

    async def nodes_in(self, group_id: str) -> tuple[str, ...]:
        """Ids of the nodes that are effectively in a group."""
        return await self._nodes(in_group(group_id))

    async def these_nodes(self, node_ids: Sequence[str]) -> tuple[str, ...]:
        """The same ids; NotFound names the first that is no node's."""
        known = set(await self._nodes({"_id": {"$in": list(node_ids)}}))
        for node_id in node_ids:
            if node_id not in known:
                raise NotFound(f"Not found: node {node_id}")
        return tuple(node_ids)

    async def nodes_with(self, template_id: str) -> tuple[str, ...]:
        """Ids of the nodes that said to have a tag of this template in their cache."""
        return await self._nodes({"status.facts.templates.id": template_id})

    async def _nodes(self, where: dict[str, Any]) -> tuple[str, ...]:
        found = await self._store.find(
            NODES, Marks, where | _STAYING, sort=(("_id", 1),), fields=("generation",)
        )
        return tuple(node.id for node in found)


def _found(document: DocumentT | None) -> DocumentT:
    if document is None:
        raise NotFound
    return document
