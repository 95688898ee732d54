"""Which nodes can take a request; each refusal says its reason. Small, pure, one idea each."""

from collections.abc import Callable

from contracts.nodes import NodeState
from scheduler.domain.node import Node
from scheduler.domain.request import Request

Filter = Callable[[Request, Node], bool]


def _online(_request: Request, node: Node) -> bool:
    return node.status.state is not NodeState.OFFLINE


def _licence(_request: Request, node: Node) -> bool:
    return node.status.facts.license_valid


def _pinned(request: Request, node: Node) -> bool:
    return not request.node_id or request.node_id == node.id


def _group(request: Request, node: Node) -> bool:
    if not request.group_id or request.group_id in node.group_ids:
        return True
    return any(group in node.group_ids for group in request.fallback_ids)


def _granted(request: Request, node: Node) -> bool:
    return not request.permission_group or request.permission_group in node.granted


def _architecture(request: Request, node: Node) -> bool:
    return not request.arch or request.arch == node.arch


def _capability(request: Request, node: Node) -> bool:
    return request.needs <= node.capabilities


def _vlan(request: Request, node: Node) -> bool:
    return not request.vlan or request.vlan in node.status.facts.vlans


def _usb(request: Request, node: Node) -> bool:
    return not request.usb_device or node.free_usb[request.usb_device] > 0


def _updating(_request: Request, node: Node) -> bool:
    return node.status.upgrading_until is None


def _drain(_request: Request, node: Node) -> bool:
    return not node.draining


def _clock(_request: Request, node: Node) -> bool:
    return not node.skewed


def _capacity(request: Request, node: Node) -> bool:
    return node.room(request.vcpu, request.vram) > 0


STANDING: tuple[tuple[str, str, Filter], ...] = (
    ("pinned", "is not the node asked for", _pinned),
    ("group", "is not in the node group", _group),
    ("permission", "is not granted to the permission group", _granted),
    ("architecture", "has another architecture", _architecture),
    ("online", "is offline", _online),
    ("licence", "has no valid licence", _licence),
    ("updating", "is being updated", _updating),
    ("drain", "is in drain mode", _drain),
    ("clock", "has a clock that is too far off", _clock),
    ("capability", "has a driver that cannot honour an override", _capability),
    ("vlan", "does not know the VLAN", _vlan),
    ("usb", "has no such USB device free", _usb),
)
"""Name, the end of a sentence that begins with "the node", and the filter; asked in this order.

Their answers stand until the node's ``version`` moves, as it does when a USB device is taken or
given back; only capacity moves with every start.
"""

CAPACITY = "capacity"
FILTERS = (*STANDING, (CAPACITY, "has no free capacity", _capacity))

SENTENCES = {name: f"the node {sentence}" for name, sentence, _ in FILTERS}


def refusal(request: Request, node: Node) -> str:
    """The name of the first filter that refuses, or the empty string."""
    return standing_refusal(request, node) or ("" if _capacity(request, node) else CAPACITY)


def standing_refusal(request: Request, node: Node) -> str:
    """The same without capacity."""
    for name, _, accepts in STANDING:
        if not accepts(request, node):
            return name
    return ""
