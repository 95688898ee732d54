"""Nobody passes unasked: every route is wrapped before it is served."""

import structlog

from api_gateway.auth.permissions import ANYBODY, NEEDS, OPEN, ROOTS
from api_gateway.auth.rights import Rights
from api_gateway.replies import Reply
from api_gateway.web import Call, Route, Routes
from chassis.auth.authenticator import Authenticator
from chassis.errors import Forbidden
from chassis.streams import Stream


class Guard:
    """Finds out who asks, and lets them make the calls that they may."""

    def __init__(self, authenticator: Authenticator, rights: Rights) -> None:
        self._authenticator = authenticator
        self._rights = rights

    def over(self, routes: Routes) -> Routes:
        """The same table, guarded."""
        return {
            path: {
                verb: self._guarded(route, NEEDS.get(path, {}).get(verb, ROOTS))
                for verb, route in verbs.items()
            }
            for path, verbs in routes.items()
        }

    def _guarded(self, route: Route, permission: str) -> Route:
        if permission == OPEN:
            return route

        async def guarded(call: Call) -> bytes | Reply | Stream:
            identity = await self._authenticator.identify(call.header("Authorization"))
            call.access = self._rights.of(identity)
            if permission != ANYBODY and not call.access.permits(permission):
                raise Forbidden
            with structlog.contextvars.bound_contextvars(actor=identity.name):
                return await route(call)

        return guarded
