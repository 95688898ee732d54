"""All nodes and groups, and the shelves on which nodes stand sorted."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from contracts.groups import GroupDocument
from scheduler.domain.node import Node
from scheduler.domain.request import Request
from scheduler.domain.shelf import Shelf
from scheduler.domain.weighers import Strategy

_SHELVES = 256
"""Kinds of request that are kept sorted; the least recently asked for goes first."""


class Cluster:
    """The nodes by id, and shelves on which they are sorted.

    ``groups`` is replaced when one changes, so that whoever knew it can tell.
    ``improved``: architectures of nodes that can take more than before, for those who wait.
    """

    def __init__(self, strategy: Strategy = Strategy.SPREAD) -> None:
        self.nodes: dict[str, Node] = {}
        self.groups: dict[str, GroupDocument] = {}
        self.granted: Mapping[str, frozenset[str]] = {}
        self.improved: set[str] = set()
        self._strategy = strategy
        self._shelves: OrderedDict[Request, Shelf] = OrderedDict()
        self._changed: dict[str, Node] = {}

    def add(self, node: Node) -> None:
        """A node joined."""
        self.nodes[node.id] = node
        node.grant(self.granted.get(node.id, frozenset()))
        self.touch(node, better=True)

    def remove(self, node: Node) -> None:
        """A node left for good."""
        del self.nodes[node.id]
        self._changed.pop(node.id, None)
        for shelf in self._shelves.values():
            shelf.forget(node.id)

    def grant(self, granted: Mapping[str, frozenset[str]]) -> None:
        """Which permission groups may have instances on which nodes, by id."""
        self.granted = granted
        for node in self.nodes.values():
            groups = granted.get(node.id, frozenset())
            if groups != node.granted:
                node.grant(groups)
                self.touch(node, better=True)

    def touch(self, node: Node, *, better: bool) -> None:
        """A node changed; ``better``: it may take what it refused before."""
        node.recount()
        self._changed[node.id] = node
        if better:
            self.improved.add(node.arch)

    def shelf(self, request: Request) -> Shelf:
        """The shelf for a request (without its pin), up to date.

        A change is sorted into every shelf before the next decision, so that no decision has to
        make up for many.
        """
        for node in self._changed.values():
            for shelf in self._shelves.values():
                shelf.update(node)
        self._changed.clear()
        known = self._shelves.get(request)
        if known is not None:
            self._shelves.move_to_end(request)
            return known
        new = self._shelves[request] = Shelf(request, self._strategy)
        for node in self.nodes.values():
            new.update(node)
        if len(self._shelves) > _SHELVES:
            self._shelves.popitem(last=False)
        return new

    def chain(self, group_id: str) -> Iterator[str]:
        """A group, its fallback, and so on; a cycle ends the chain."""
        seen: set[str] = set()
        current: str | None = group_id
        while current is not None and current not in seen:
            seen.add(current)
            yield current
            group = self.groups.get(current)
            current = group.fallback_group_id if group else None
