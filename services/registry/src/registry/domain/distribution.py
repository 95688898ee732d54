"""How a distribution moves: targets chosen, orders due, reports, time-outs, the end. Pure.

A document and what is known go in, the next status comes out; what follows from the step (orders,
cancellations, events) is read off the difference of the two, once the status is durable.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from contracts.distributions import (
    DistributionDocument,
    DistributionSpec,
    DistributionStatus,
    NodePull,
    TemplatePullReported,
)

CANCELED = "request canceled"
"""The documented error of a node whose pull was canceled."""

GONE = "the node is gone"
UNKNOWN = "there is no such node"

_SILENT = timedelta(seconds=60)
"""A node that was not heard for so long keeps no place from others."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What a distribution wants to know of a node.

    ``groups`` are ids, as effective now. ``peer``: it fetches from neighbours and serves them.
    """

    id: str
    queue: str
    online: bool = True
    groups: tuple[str, ...] = ()
    peer: bool = False


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how many.

    ``timeout``: for one node's pull, or its return. ``resend``: silence after which an order goes
    out again. ``parallel``: nodes that pull from the registry at once; 0: all of them.
    """

    timeout: timedelta
    resend: timedelta
    parallel: int = 0


def targets(spec: DistributionSpec, nodes: Iterable[Node]) -> dict[str, NodePull]:
    """The nodes that are to have the tag: drained, unhealthy, full and offline ones as well."""
    known = {node.id: node for node in nodes}
    if spec.node_ids:
        missing = NodePull(error=UNKNOWN)
        return {id_: NodePull() if id_ in known else missing for id_ in spec.node_ids}
    group = spec.group_id
    return {n.id: NodePull() for n in known.values() if group is None or group in n.groups}


def reported(
    document: DistributionDocument, reports: Iterable[TemplatePullReported], now: datetime
) -> DistributionStatus:
    """The status with what nodes said. Whatever ended stays as it ended."""
    pulls = dict(document.status.nodes)
    for report in reports:
        pull = pulls.get(report.node_id)
        if pull is None or pull.over:
            continue
        share = 1.0 if report.done else max(pull.progress, min(report.progress, 1.0))
        pulls[report.node_id] = msgspec.structs.replace(
            pull,
            progress=share,
            heard=now,
            done=report.done,
            error="" if report.done else report.error,
        )
    return _with(document.status, pulls, now, document.status.observed_generation)


def advanced(
    document: DistributionDocument, nodes: Mapping[str, Node], limits: Limits, now: datetime
) -> DistributionStatus:
    """The status after its wish was observed, late nodes were given up and orders became due.

    ``nodes`` are all that could be targets when none were chosen yet, else the chosen ones.
    """
    status = document.status
    pulls = dict(status.nodes)
    if not status.observed_generation:
        pulls = targets(document.spec, nodes.values())
    if document.spec.cancel:
        pulls = {id_: pull if pull.over else _failed(pull, CANCELED) for id_, pull in pulls.items()}
    _give_up(pulls, nodes, document.created, limits.timeout, now)
    _order(pulls, nodes, limits, now)
    return _with(status, pulls, now, document.generation)


def ordered(old: DistributionStatus, new: DistributionStatus) -> list[str]:
    """The nodes to which the step sends an order."""
    return [id_ for id_, pull in new.nodes.items() if pull.orders > _before(old, id_).orders]


def stopped(old: DistributionStatus, new: DistributionStatus) -> list[str]:
    """The nodes that an ``advanced`` gave up while they may be pulling."""
    return [
        id_
        for id_, pull in new.nodes.items()
        if pull.error and pull.begun is not None and not _before(old, id_).over
    ]


def over_for(document: DistributionDocument | None, node_id: str) -> bool:
    """Whether nobody waits for this node's pull any more."""
    pull = document.status.nodes.get(node_id) if document is not None else None
    return pull is None or pull.over


def _give_up(
    pulls: dict[str, NodePull],
    nodes: Mapping[str, Node],
    created: datetime,
    timeout: timedelta,
    now: datetime,
) -> None:
    """A node that waits for its place has all the time: those before it have not."""
    seconds = timeout.total_seconds()
    for id_, pull in pulls.items():
        if pull.over:
            continue
        node = nodes.get(id_)
        if node is None:
            pulls[id_] = _failed(pull, GONE)
        elif pull.begun is not None and now - pull.begun > timeout:
            pulls[id_] = _failed(pull, f"not done within {seconds:g} seconds")
        elif pull.begun is None and not node.online and now - created > timeout:
            pulls[id_] = _failed(pull, f"the node was offline for {seconds:g} seconds")


def _order(
    pulls: dict[str, NodePull], nodes: Mapping[str, Node], limits: Limits, now: datetime
) -> None:
    """Order what has a place, and again what was not heard of for a while."""
    free = _places(pulls, nodes, limits, now)
    for id_, pull in pulls.items():
        node = nodes.get(id_)
        if pull.over or node is None or not node.online:
            continue
        if pull.begun is None:
            if free[node.peer] < 1:
                continue
            free[node.peer] -= 1
        elif now - max(at for at in (pull.ordered, pull.heard, pull.begun) if at) < limits.resend:
            continue
        pulls[id_] = msgspec.structs.replace(
            pull, begun=pull.begun or now, ordered=now, orders=pull.orders + 1
        )


def _places(
    pulls: Mapping[str, NodePull], nodes: Mapping[str, Node], limits: Limits, now: datetime
) -> dict[bool, int]:
    """How many nodes may begin: those without neighbours (False), and those with (True).

    With neighbours it goes in waves: one node, then as many at a time as have the tag, so that
    each finds a neighbour of its own and the registry is asked about once.
    """
    seeds = 0
    busy = {False: 0, True: 0}
    for id_, pull in pulls.items():
        node = nodes.get(id_)
        if node is None or not node.online:
            continue
        if pull.done:
            seeds += node.peer
        elif pull.begun and not pull.error and now - (pull.heard or pull.begun) < _SILENT:
            busy[node.peer] += 1
    others = limits.parallel or len(pulls)
    return {False: others - busy[False], True: max(1, seeds) - busy[True]}


def _with(
    old: DistributionStatus, pulls: dict[str, NodePull], now: datetime, observed: int
) -> DistributionStatus:
    """The old one itself when nothing moved."""
    finished = old.finished
    if finished is None and observed and all(pull.over for pull in pulls.values()):
        finished = now
    new = msgspec.structs.replace(old, nodes=pulls, finished=finished, observed_generation=observed)
    return old if new == old else msgspec.structs.replace(new, changed=now)


def _failed(pull: NodePull, error: str) -> NodePull:
    return msgspec.structs.replace(pull, error=error)


def _before(status: DistributionStatus, node_id: str) -> NodePull:
    return status.nodes.get(node_id) or NodePull()
