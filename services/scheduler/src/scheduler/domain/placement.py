"""The decision: which node takes a request, or why none does."""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from contracts.instances import Reason
from scheduler.domain.cluster import Cluster
from scheduler.domain.filters import SENTENCES, refusal
from scheduler.domain.node import Node
from scheduler.domain.request import Request


class Placed(msgspec.Struct, frozen=True):
    """This node takes it."""

    node: Node


class Refusals(msgspec.Struct, frozen=True):
    """No node takes it; most frequent reason first."""

    reasons: tuple[Reason, ...]


NO_NODES = Reason(filter="nodes", message="no node has joined")


def place(
    request: Request, cluster: Cluster, tried: AbstractSet[str] = frozenset()
) -> Placed | Refusals:
    """Pick a node; one that failed it already is taken only when no other would do.

    A full node group hands the request to its fallback, and so on down the chain.
    """
    if request.node_id:
        return _pinned(request, cluster)
    refused: dict[str, Counter[str]] = {}
    groups = list(cluster.chain(request.group_id)) if request.group_id else [""]
    for avoid in (tried, frozenset[str]()) if tried else (tried,):
        for group in groups:
            shelf = cluster.shelf(request.in_group(group) if group else request)
            if node := shelf.best(avoid):
                return Placed(node)
            refused[group] = shelf.refused
    # Over the whole chain each node counts once, with the one reason why it is of no use.
    total = cluster.shelf(request.in_any(groups)).refused
    return Refusals(_reasons(total, refused))


def _pinned(request: Request, cluster: Cluster) -> Placed | Refusals:
    node = cluster.nodes.get(request.node_id)
    if node is None:
        return Refusals((Reason(filter="pinned", message="the node asked for is not there"),))
    reason = refusal(request, node)
    return Refusals(_reasons(Counter([reason]), {})) if reason else Placed(node)


def _reasons(total: Counter[str], by_group: Mapping[str, Counter[str]]) -> tuple[Reason, ...]:
    """Those that refuse nodes; groups that do not concern a reason are left out."""
    found = tuple(
        Reason(
            filter=name,
            message=SENTENCES[name],
            nodes=count,
            groups=tuple(group for group, counts in by_group.items() if group and counts[name]),
        )
        for name, count in (+total).most_common()
    )
    return found or (NO_NODES,)
