"""All nodes and groups, with shelves that are brought up to date when they are asked."""

from collections import OrderedDict
from collections.abc import Iterator

from contracts.groups import GroupDocument
from scheduler.domain.node import Node
from scheduler.domain.request import Request
from scheduler.domain.shelf import Shelf
from scheduler.domain.weighers import Strategy

_SHELVES = 256
_MAX_LOG = 200_000


class Cluster:
    """The nodes by id; every change of one is noted in a log that each shelf reads when used.

    ``improved``: architectures of nodes that can take more than before, for those who wait.
    """

    def __init__(self, strategy: Strategy = Strategy.SPREAD) -> None:
        self.nodes: dict[str, Node] = {}
        self.groups: dict[str, GroupDocument] = {}
        self.improved: set[str] = set()
        self._strategy = strategy
        self._shelves: OrderedDict[Request, Shelf] = OrderedDict()
        self._log: list[Node] = []
        self._read_to = 0

    def add(self, node: Node) -> None:
        """A node joined."""
        self.nodes[node.id] = node
        self.touch(node, better=True)

    def remove(self, node: Node) -> None:
        """A node left for good."""
        del self.nodes[node.id]
        for shelf in self._shelves.values():
            self._catch_up(shelf)
            shelf.forget(node.id)

    def touch(self, node: Node, *, better: bool) -> None:
        """A node changed; ``better``: it may take what it refused before."""
        node.recount()
        if self._read_to == len(self._log) or self._log[-1] is not node:
            self._log.append(node)
        if better:
            self.improved.add(node.arch)
        if len(self._log) > _MAX_LOG:
            self._shelves.clear()
            self._log.clear()
            self._read_to = 0

    def shelf(self, request: Request) -> Shelf:
        """The shelf for a request (without its pin), up to date."""
        shelf = self._shelves.get(request)
        if shelf is None:
            shelf = Shelf(request, self._strategy)
            for node in self.nodes.values():
                shelf.update(node)
            shelf.seen = self._read_to = len(self._log)
            self._shelves[request] = shelf
            if len(self._shelves) > _SHELVES:
                self._shelves.popitem(last=False)
            return shelf
        self._shelves.move_to_end(request)
        self._catch_up(shelf)
        return shelf

    def chain(self, group_id: str) -> Iterator[str]:
        """A group, its fallback, and so on; a cycle ends the chain."""
        seen: set[str] = set()
        current: str | None = group_id
        while current is not None and current not in seen:
            seen.add(current)
            yield current
            group = self.groups.get(current)
            current = group.fallback_group_id if group else None

    def _catch_up(self, shelf: Shelf) -> None:
        for node in dict.fromkeys(self._log[shelf.seen :]):
            if node.id in self.nodes:
                shelf.update(node)
        shelf.seen = self._read_to = len(self._log)
