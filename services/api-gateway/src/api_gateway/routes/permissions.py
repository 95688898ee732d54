"""``/admin/api/v1/permission``, also spelt ``/admin/v1/api``: permission groups and grants."""

import msgspec

from api_gateway.auth.permissions import ADMIN, SECTIONS
from api_gateway.domain.fields import Fields, parse_array
from api_gateway.operation import operation
from api_gateway.public import envelope
from api_gateway.public.access import Permission, Section
from api_gateway.requests.cloud import GrantRequest, NewPermissionGroup, Permissions
from api_gateway.web import Call, Route, Routes
from chassis.auth.groups import Groups, ResourceType, ShownGroup
from contracts.identity import Grant


class PermissionRoutes:
    """What can be permitted, and to which group it is."""

    def __init__(self, groups: Groups, *, by_node: bool) -> None:
        self._groups = groups
        self._by_node = by_node

    def table(self) -> Routes:
        """Path to verb to function, in both spellings."""
        paths: dict[str, dict[str, Route]] = {
            "": {"GET": self.catalogue},
            "/group": {"GET": self.list, "POST": self.create},
            "/group/{name}": {
                "GET": self.get,
                "POST": self.create_named,
                "PUT": self.replace,
                "DELETE": self.delete,
            },
        }
        if self._by_node:
            paths |= {
                "/resources/permissions": {"GET": self.resources},
                "/group/{name}/resources": {"GET": self.grants, "POST": self.grant},
            }
        return {root + path: verbs for root in ADMIN for path, verbs in paths.items()}

    @operation(tuple[Section, ...])
    async def catalogue(self, _call: Call) -> bytes:
        """Every permission a group can have, by section."""
        body = [
            Section(
                section=section,
                permissions=tuple(
                    Permission(name=name, label=label) for name, label in named.items()
                ),
            )
            for section, named in SECTIONS.items()
        ]
        return envelope.ok(msgspec.json.encode(body))

    @operation(tuple[ShownGroup, ...])
    async def list(self, _call: Call) -> bytes:
        """All groups."""
        return envelope.ok(msgspec.json.encode(await self._groups.shown()))

    @operation(ShownGroup)
    async def get(self, call: Call) -> bytes:
        """One group."""
        return envelope.ok(msgspec.json.encode(await self._groups.one(call.path("name"))))

    @operation(body=NewPermissionGroup)
    async def create(self, call: Call) -> bytes:
        """Make a group; its name stands in the body."""
        fields = await call.fields()
        await self._groups.create(fields.required_text("name"), _permissions(fields))
        return envelope.OK

    @operation(body=Permissions, optional=True)
    async def create_named(self, call: Call) -> bytes:
        """Make a group; its name stands in the path."""
        await self._groups.create(call.path("name"), _permissions(await call.fields_or_none()))
        return envelope.OK

    @operation(body=Permissions)
    async def replace(self, call: Call) -> bytes:
        """Give a group these permissions and no others."""
        await self._groups.replace(call.path("name"), _permissions(await call.fields()))
        return envelope.OK

    @operation()
    async def delete(self, call: Call) -> bytes:
        """Remove a group, with its grants."""
        await self._groups.delete(call.path("name"))
        return envelope.OK

    @operation(tuple[ResourceType, ...])
    async def resources(self, _call: Call) -> bytes:
        """What can be granted on single resources."""
        return envelope.ok(msgspec.json.encode([self._groups.resources]))

    @operation(tuple[Grant, ...])
    async def grants(self, call: Call) -> bytes:
        """What a group is granted."""
        return envelope.ok(msgspec.json.encode(await self._groups.grants(call.path("name"))))

    @operation(body=tuple[GrantRequest, ...])
    async def grant(self, call: Call) -> bytes:
        """Grant a group this and nothing else."""
        await self._groups.grant(call.path("name"), _grants(await call.raw()))
        return envelope.SAVED


def _permissions(fields: Fields) -> tuple[str, ...]:
    return fields.words("permissions") or ()


def _grants(raw: bytes) -> list[Grant]:
    return [
        Grant(
            id=fields.required_text("id"),
            id_type=fields.choice("id_type", ("id",)) or "id",
            type=fields.required_text("type"),
            permissions=_permissions(fields),
        )
        for fields in parse_array(raw)
    ]
