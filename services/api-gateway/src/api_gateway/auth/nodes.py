"""Permissions on single nodes. A node that may not be listed does not exist for the caller."""

from collections.abc import Iterable, Sequence

from api_gateway.domain.access import Access
from api_gateway.domain.fields import MissingField
from chassis.errors import Forbidden, NotFound

LIST = "list"
CREATE_INSTANCE = "create_instance"
CHANGE_CONFIG = "change_config"
REMOVE = "remove"
FORCE_UPGRADE = "force_upgrade"
DISTRIBUTE = "distribute"
DELETE_TEMPLATE = "delete_template"


def require(
    access: Access, permission: str, node_ids: Iterable[str], group: str | None = None
) -> None:
    """Forbidden when one of these nodes is not permitted, NotFound when it is hidden."""
    for node_id in node_ids:
        if access.permits_on(permission, node_id, group):
            continue
        if access.permits_on(LIST, node_id):
            raise Forbidden(f"Permission denied: {permission} on node {node_id}")
        raise NotFound(f"Not found: node {node_id}")


def permitted(
    access: Access, permission: str, node_ids: Sequence[str], group: str | None = None
) -> tuple[str, ...]:
    """Those of these nodes on which this is permitted; Forbidden when that leaves none."""
    allowed = access.nodes(permission, group)
    left = tuple(node for node in node_ids if allowed is None or node in allowed)
    if node_ids and not left:
        raise Forbidden(f"Permission denied: {permission} on any of the nodes")
    return left


def chosen_group(access: Access, group: str | None) -> str | None:
    """The permission group that a request is made for; None while single nodes do not matter.

    Everybody but root must name one of their own.
    """
    if access.grants is None:
        return None
    if group is None and not access.root:
        raise MissingField("group")
    if group is not None and not access.root and group not in access.groups:
        raise Forbidden(f"Permission denied: group {group}")
    return group
