"""All nodes sorted for one kind of request, so that a decision looks at the best only."""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from scheduler.domain.filters import CAPACITY, standing_refusal
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
        self._standing: dict[str, tuple[int, str]] = {}
        self.refused: Counter[str] = Counter()

    def update(self, node: Node) -> None:
        """Sort a changed node in anew."""
        place = self._where(node)
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
        self._standing.pop(node_id, None)
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

    def _where(self, node: Node) -> Weight | str:
        """Its weight, or the filter that refuses it; filters but capacity are asked once."""
        request = self._request
        version, reason = self._standing.get(node.id, (-1, ""))
        if version != node.version:
            reason = standing_refusal(request, node)
            self._standing[node.id] = (node.version, reason)
        if reason:
            return reason
        room = node.room(request.vcpu, request.vram)
        return weight(request, node, room, self._strategy) if room > 0 else CAPACITY

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
