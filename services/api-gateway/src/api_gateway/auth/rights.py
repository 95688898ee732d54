"""From who asks to what they may, by their permission groups as they are now."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from api_gateway.auth.permissions import NODE
from api_gateway.domain.access import Access, NodeGrants
from chassis.auth.directory import Directory
from chassis.auth.identity import Identity
from contracts.identity import Grant

_MANY = 10_000


class Rights:
    """``by_group``: calls need permissions. ``by_node``: single nodes are told apart as well."""

    def __init__(self, directory: Directory, *, by_group: bool, by_node: bool) -> None:
        self._directory = directory
        self._by_group = by_group
        self._by_node = by_node
        self._revision = -1
        self._grants: NodeGrants | None = None
        self._known: dict[Identity, Access] = {}

    def of(self, identity: Identity) -> Access:
        """What this caller may; worked out once until something is written."""
        if self._revision != self._directory.revision or len(self._known) > _MANY:
            self._revision = self._directory.revision
            self._known.clear()
            self._grants = by_permission(self._directory.grants) if self._by_node else None
        known = self._known.get(identity)
        if known is None:
            known = self._known[identity] = self._work_out(identity)
        return known

    def _work_out(self, identity: Identity) -> Access:
        permissions = None
        if self._by_group and not identity.root:
            held = self._directory.permissions
            permissions = frozenset(p for group in identity.groups for p in held.get(group, ()))
        return Access(
            actor=identity.name,
            root=identity.root,
            permissions=permissions,
            groups=identity.groups,
            grants=self._grants,
        )


def by_permission(grants: Mapping[str, Sequence[Grant]]) -> NodeGrants:
    """Permission group to permission to ids of nodes."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for group, resources in grants.items():
        permitted: defaultdict[str, set[str]] = defaultdict(set)
        for grant in resources:
            if grant.type == NODE.resource_type:
                for permission in grant.permissions:
                    permitted[permission].add(grant.id)
        found[group] = {name: frozenset(ids) for name, ids in permitted.items()}
    return found
