"""Permission groups, and what they are granted on single resources."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from chassis.auth.directory import Directory
from chassis.auth.store import AccessStore
from chassis.errors import Conflict, NotFound, Refused
from chassis.store.port import Insert, Write
from contracts.identity import Grant, GrantsDocument, PermissionGroupDocument


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What a permission is called, and what it is for."""

    label: str
    description: str


class ResourceType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of resource and what can be granted on one, as the documented API shows it."""

    resource_type: str
    permissions: Mapping[str, Label]


class ShownGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A permission group as our own calls show it."""

    name: str
    permissions: tuple[str, ...]


class Groups:
    """The permission groups of one service. ``known`` are its permissions. All raise StoreDown."""

    def __init__(
        self,
        store: AccessStore,
        directory: Directory,
        known: Collection[str],
        resources: ResourceType,
    ) -> None:
        self._store = store
        self._directory = directory
        self._known = known
        self.resources = resources

    async def shown(self) -> list[ShownGroup]:
        """All groups, by name."""
        return [_shown(group) for group in await self._store.all_groups()]

    async def one(self, name: str) -> ShownGroup:
        """One group; NotFound."""
        group = await self._store.group(name)
        if group is None:
            raise NotFound
        return _shown(group)

    async def create(self, name: str, permissions: Sequence[str]) -> None:
        """Make a group; Conflict, or Refused naming a permission that does not exist."""
        inserted = self._inserted(name, permissions)
        try:
            await self._directory.write("group", name, [inserted])
        except Conflict:
            raise Conflict(f"Exists already: group {name}") from None

    async def replace(self, name: str, permissions: Sequence[str]) -> None:
        """Give a group these permissions and no others. NotFound, Refused."""
        await self.one(name)
        inserted = self._inserted(name, permissions)
        gone = self._store.removed(self._store.groups, name)
        await self._directory.write("group", name, [gone, inserted])

    async def delete(self, name: str) -> None:
        """Remove a group and its grants. NotFound."""
        await self.one(name)
        gone = [
            self._store.removed(self._store.groups, name),
            self._store.removed(self._store.grants, name),
        ]
        await self._directory.write("group", name, gone)

    async def grants(self, name: str) -> Sequence[Grant]:
        """What the group is granted; nothing for one that is unknown."""
        held = await self._store.granted(name)
        return held.resources if held else ()

    async def grant(self, name: str, resources: Sequence[Grant]) -> None:
        """Grant a group this and nothing else. Refused names what does not exist."""
        kind = self.resources
        for each in resources:
            if each.type != kind.resource_type:
                raise Refused(f"type: only {kind.resource_type} has permissions here")
            _check(each.permissions, kind.permissions)
        held = GrantsDocument(id=name, resources=tuple(resources))
        inserted = Insert(collection=self._store.grants, document=held)
        gone = self._store.removed(self._store.grants, name)
        await self._directory.write("grants", name, [gone, inserted])

    def _inserted(self, name: str, permissions: Sequence[str]) -> Write:
        _check(permissions, self._known)
        document = PermissionGroupDocument(id=name, permissions=tuple(permissions))
        return Insert(collection=self._store.groups, document=document)


def _check(permissions: Sequence[str], known: Collection[str]) -> None:
    for permission in permissions:
        if permission not in known:
            raise Refused(f"permissions: there is no permission {permission}")


def _shown(group: PermissionGroupDocument) -> ShownGroup:
    return ShownGroup(name=group.id, permissions=group.permissions)
