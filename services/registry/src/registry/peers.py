"""Which nodes have a blob and let others have it."""

from collections.abc import Sequence

import msgspec

from registry.distribution_store import DistributionStore, TargetNode


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A node, and the URL under which it serves blobs."""

    node_id: str
    address: str


class Peers:
    """Answers from what nodes report and from distributions that are done there.

    Nothing is kept between two questions: the nodes of a wave ask as soon as the one before is
    done, and must hear of it.
    """

    def __init__(self, store: DistributionStore) -> None:
        self._store = store

    async def having(self, digests: Sequence[str], but: str) -> list[Peer]:
        """The nodes that have one of these manifests or layers, but for the one that asks."""
        found = {node.id: node for node in await self._store.holders(digests)}
        done = {
            node_id
            for document in await self._store.of_digests(digests)
            for node_id, pull in document.status.nodes.items()
            if pull.done
        }
        if late := done - found.keys():
            found |= await self._store.nodes(late)
        return [_peer(node) for node in found.values() if node.id != but and _serves(node)]


def _serves(node: TargetNode) -> bool:
    return bool(node.peer_address) and node.online and not node.gone


def _peer(node: TargetNode) -> Peer:
    return Peer(node_id=node.id, address=node.peer_address)
