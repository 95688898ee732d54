"""Which of the nodes that can take a request should."""

from enum import StrEnum

from scheduler.domain.node import Node
from scheduler.domain.request import Request


class Strategy(StrEnum):
    """Among equally warm nodes: the emptiest, or the fullest that has room."""

    SPREAD = "spread"
    PACK = "pack"


Weight = tuple[int, int]


def weight(request: Request, node: Node, room: int, strategy: Strategy) -> Weight:
    """Larger is better: warmth first, then ``room`` (how many VMs like this still fit).

    Warmth: 3 the tag is cached; 2 it is being pulled there, and one pull serves all; 1 another
    tag of the template is cached, so the pull is incremental; 0 cold.
    """
    return (_warmth(request, node), room if strategy is Strategy.SPREAD else -room)


def _warmth(request: Request, node: Node) -> int:
    if request.digest in node.cached:
        return 3
    if node.pulling[request.digest]:
        return 2
    return int(request.template_id in node.known_templates)
