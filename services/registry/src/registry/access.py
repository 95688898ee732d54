"""Who may do what here: every request is asked, but those that must be open."""

from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import hdrs, web

from chassis.auth.authenticator import Authenticator
from chassis.auth.identity import Identity
from chassis.errors import Forbidden, NotFound
from chassis.web import ACTOR_HEADER, REQUEST_ID
from contracts.artifacts import template_id_of
from registry.permissions import ANYBODY, GRANTS, LIST, NEEDS, OPEN, PULL, ROOTS, Lines
from registry.templates import Actor

_CALLER = web.RequestKey("caller", Identity)
_VISIBLE = web.RequestKey("visible", frozenset)


class AccessControl:
    """Asks who calls, and whether their permission groups allow it.

    ``by_group``: calls need permissions. ``by_template``: single templates are told apart as well.
    """

    def __init__(self, authenticator: Authenticator, *, by_group: bool, by_template: bool) -> None:
        self._authenticator = authenticator
        self._by_group = by_group
        self._by_template = by_template

    def add_to(self, app: web.Application) -> None:
        """Stand before every route that is there, and every path that is not."""
        app.middlewares.append(self.admit)

    @web.middleware
    async def admit(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Unauthenticated, Forbidden, NotFound where that is hidden, or the answer."""
        needs = _needs(request)
        if OPEN in needs:
            return await handler(request)
        identity = await self._authenticator.identify(request.headers.get(hdrs.AUTHORIZATION))
        if not self._may(identity, needs):
            raise Forbidden
        if self._by_template and not identity.root:
            await self._narrow(request, identity)
        request[_CALLER] = identity
        with structlog.contextvars.bound_contextvars(actor=identity.name):
            return await handler(request)

    def _may(self, identity: Identity, needs: tuple[str, ...]) -> bool:
        if identity.root or not self._by_group or ANYBODY in needs:
            return True
        held = self._authenticator.directory.permissions
        return any(need in held.get(group, ()) for group in identity.groups for need in needs)

    async def _narrow(self, request: web.Request, identity: Identity) -> None:
        """Hold the caller to the templates it is granted."""
        request[_VISIBLE] = self._granted(identity, (LIST,))
        wanted = _line(GRANTS, request)
        if wanted is None:
            return
        missing = await _templates_of(request) - self._granted(identity, wanted)
        if missing:
            raise Forbidden if missing <= request[_VISIBLE] else NotFound
        source = request.query.get("from")
        if source and template_id_of(source) not in self._granted(identity, PULL):
            raise Forbidden

    def _granted(self, identity: Identity, permissions: tuple[str, ...]) -> frozenset[str]:
        """Templates on which any of these is granted to any of the caller's groups."""
        held = self._authenticator.directory.grants
        return frozenset(
            grant.id
            for group in identity.groups
            for grant in held.get(group, ())
            if not set(permissions).isdisjoint(grant.permissions)
        )


def visible(request: web.Request) -> frozenset[str] | None:
    """Ids of the templates that the caller may see; None: all."""
    return request.get(_VISIBLE)


def actor_of(request: web.Request) -> Actor:
    """Who asks. Root may ask for another, as the gateway does; nobody else may, once asked."""
    caller = request.get(_CALLER)
    name = request.headers.get(ACTOR_HEADER, "")
    if caller is not None and (not caller.root or not name):
        name = caller.name
    return Actor(name=name, request_id=request.get(REQUEST_ID, ""))


def _needs(request: web.Request) -> tuple[str, ...]:
    """The permissions of which one opens this call; what is not there, whoever is known may see."""
    if request.match_info.route.resource is None:
        return (ANYBODY,)
    return _line(NEEDS, request) or (ROOTS,)


def _line(table: Lines, request: web.Request) -> tuple[str, ...] | None:
    resource = request.match_info.route.resource
    if resource is None:
        return None
    verbs = table.get(resource.canonical, {})
    return verbs.get(request.method) or (verbs.get("GET") if request.method == "HEAD" else None)


async def _templates_of(request: web.Request) -> set[str]:
    """Every template that a request names, wherever it does."""
    if "name" in request.match_info:
        return {template_id_of(request.match_info["name"])}
    named: set[object] = set(request.query.getall("id", ()))
    try:
        body = msgspec.json.decode(await request.read())
    except (msgspec.MsgspecError, UnicodeDecodeError):
        body = None
    if isinstance(body, dict) and body.get("id") is not None:
        named.add(body["id"])
    return {each for each in named if isinstance(each, str)}
