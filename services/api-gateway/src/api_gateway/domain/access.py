"""What the caller of a request may do."""

from collections.abc import Mapping

import msgspec

NodeGrants = Mapping[str, Mapping[str, frozenset[str]]]
"""Permission group to permission to ids of nodes."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """``actor`` is who asks; empty while nobody has to say so.

    ``permissions`` None: every one. ``groups`` are the caller's permission groups.
    ``grants`` None: single nodes are not told apart. ``root`` is not narrowed by them, unless it
    names a group.
    """

    actor: str = ""
    root: bool = True
    permissions: frozenset[str] | None = None
    groups: tuple[str, ...] = ()
    grants: NodeGrants | None = None

    def permits(self, permission: str) -> bool:
        """Whether a call that needs this permission may be made."""
        return self.permissions is None or permission in self.permissions

    def nodes(self, permission: str, group: str | None = None) -> frozenset[str] | None:
        """Nodes on which this is permitted, by one group or by all of the caller; None: all."""
        if self.grants is None:
            return None
        if group is not None:
            return self.grants.get(group, {}).get(permission, frozenset())
        if self.root:
            return None
        none: frozenset[str] = frozenset()
        return none.union(*(self.grants.get(g, {}).get(permission, none) for g in self.groups))

    def permits_on(self, permission: str, node_id: str, group: str | None = None) -> bool:
        """Whether this is permitted on one node."""
        permitted = self.nodes(permission, group)
        return permitted is None or node_id in permitted
