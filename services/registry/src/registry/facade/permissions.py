"""``/admin/api/v1/permission``, also spelt ``/admin/v1/api``: permission groups and grants."""

import msgspec
from aiohttp import web

from chassis.auth.groups import Groups
from contracts.identity import Grant
from registry.facade.envelope import BadRequest, done, ok, parameters, required, words
from registry.permissions import ADMIN, SECTIONS


class PermissionRoutes:
    """What can be permitted, and to which group it is."""

    def __init__(self, groups: Groups, *, by_template: bool) -> None:
        self._groups = groups
        self._by_template = by_template

    def add_to(self, app: web.Application) -> None:
        """Add the routes, in both spellings."""
        router = app.router
        for root in ADMIN:
            router.add_get(root, self.catalogue, allow_head=False)
            router.add_get(f"{root}/group", self.list, allow_head=False)
            router.add_post(f"{root}/group", self.create)
            one = f"{root}/group/{{name}}"
            router.add_get(one, self.get, allow_head=False)
            router.add_post(one, self.create)
            router.add_put(one, self.replace)
            router.add_delete(one, self.delete)
            if self._by_template:
                resources = f"{root}/resources/permissions"
                router.add_get(resources, self.resources, allow_head=False)
                router.add_get(f"{one}/resources", self.grants, allow_head=False)
                router.add_post(f"{one}/resources", self.grant)

    async def catalogue(self, _request: web.Request) -> web.Response:
        """Every permission a group can have, by section."""
        return ok(
            [
                {
                    "section": section,
                    "permissions": [{"name": n, "label": label} for n, label in named.items()],
                }
                for section, named in SECTIONS.items()
            ]
        )

    async def list(self, _request: web.Request) -> web.Response:
        """All groups."""
        return ok(await self._groups.shown())

    async def get(self, request: web.Request) -> web.Response:
        """One group."""
        return ok(await self._groups.one(request.match_info["name"]))

    async def create(self, request: web.Request) -> web.Response:
        """Make a group; its name stands in the path or in the body."""
        given = await parameters(request)
        name = request.match_info.get("name") or required(given, "name")
        await self._groups.create(name, words(given, "permissions") or ())
        return done()

    async def replace(self, request: web.Request) -> web.Response:
        """Give a group these permissions and no others."""
        permissions = words(await parameters(request), "permissions") or ()
        await self._groups.replace(request.match_info["name"], permissions)
        return done()

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a group, with its grants."""
        await self._groups.delete(request.match_info["name"])
        return done()

    async def resources(self, _request: web.Request) -> web.Response:
        """What can be granted on single resources."""
        return ok([self._groups.resources])

    async def grants(self, request: web.Request) -> web.Response:
        """What a group is granted."""
        return ok(await self._groups.grants(request.match_info["name"]))

    async def grant(self, request: web.Request) -> web.Response:
        """Grant a group this and nothing else."""
        try:
            wished = msgspec.json.decode(await request.read(), type=list[Grant])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadRequest(f"the body must be an array of resources: {error}") from None
        await self._groups.grant(request.match_info["name"], wished)
        return done("Saved")
