"""All nodes sorted for one kind of request, so that a decision looks at the best only."""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from scheduler.domain.filters import refusal
from scheduler.domain.node import Node
from scheduler.domain.request import Request
from scheduler.domain.weighers import Strategy, Weight, weight


class Shelf:
    """Nodes of equal weight share a board. Knows as well how many nodes each filter refused."""

    def __init__(self, request: Request, strategy: Strategy) -> None:
        self._request = request
        self._strategy = strategy
        self._boards: dict[Weight, dict[str, Node]] = {}
        self._place: dict[str, Weight | str] = {}
        self.refused: Counter[str] = Counter()
        self.seen = 0

    def update(self, node: Node) -> None:
        """Sort a changed node in anew."""
        reason = refusal(self._request, node)
        place = reason or weight(self._request, node, self._strategy)
        old = self._place.get(node.id)
        if old == place:
            return
        self._remove(node.id, old)
        self._place[node.id] = place
        if isinstance(place, str):
            self.refused[place] += 1
        else:
            self._boards.setdefault(place, {})[node.id] = node

    def forget(self, node_id: str) -> None:
        """The node has left the cluster."""
        self._remove(node_id, self._place.pop(node_id, None))

    def best(self, avoid: AbstractSet[str] = frozenset()) -> Node | None:
        """The heaviest node that is not to be avoided."""
        if not self._boards:
            return None
        if not avoid:
            return next(iter(self._boards[max(self._boards)].values()))
        for node in self._in_order():
            if node.id not in avoid:
                return node
        return None

    def _in_order(self) -> Iterable[Node]:
        for key in sorted(self._boards, reverse=True):
            yield from self._boards[key].values()

    def _remove(self, node_id: str, place: Weight | str | None) -> None:
        if isinstance(place, str):
            self.refused[place] -= 1
        elif place is not None:
            board = self._boards[place]
            del board[node_id]
            if not board:
                del self._boards[place]
