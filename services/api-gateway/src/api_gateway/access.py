"""The wiring of everything about access: who asks, their keys, groups and grants."""

import uuid
from collections.abc import Mapping, Sequence

from api_gateway.auth.guard import Guard
from api_gateway.auth.permissions import KNOWN, NODE
from api_gateway.auth.rights import Rights
from api_gateway.config import Settings
from api_gateway.outbox import Outbox
from api_gateway.packages import Identify
from api_gateway.routes.api_keys import ApiKeyRoutes
from api_gateway.routes.login import LoginRoutes
from api_gateway.routes.permissions import PermissionRoutes
from api_gateway.web import Routes
from chassis.auth.authenticator import Authenticator
from chassis.auth.groups import Groups
from chassis.auth.keys import Keys
from chassis.auth.store import AccessStore
from chassis.bus.dispatch import Dispatcher
from chassis.bus.port import Bus, Queue, QueueKind
from chassis.clock import Clock
from chassis.service import Loop, Part
from chassis.store.port import Store, Write
from chassis.web import Check
from contracts.identity import AccessChanged
from contracts.messages import Message, tag_of

_REFRESH_SECONDS = 2.0
HEARD: tuple[type[Message], ...] = (AccessChanged,)
"""What is heard beside the projection."""


class AccessControl:
    """Guards a table of routes, and has those about access. With authentication off: as it is."""

    def __init__(
        self, settings: Settings, store: Store, bus: Bus, outbox: Outbox, clock: Clock
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._documents = AccessStore(store)
        told = _Announcer(outbox)
        self._authenticator = Authenticator(settings, self._documents, clock, told)
        self._keys = Keys(self._documents, self._authenticator.directory, clock)

    @property
    def guards(self) -> bool:
        """Whether callers have to say who they are."""
        return self._settings.enable_auth

    def over(self, routes: Routes) -> Routes:
        """The table that is served, with each route guarded."""
        settings = self._settings
        if not self.guards:
            return routes
        rights = Rights(
            self._authenticator.directory,
            by_group=settings.enable_controller_authorization,
            by_node=settings.enable_resource_management,
        )
        return Guard(self._authenticator, rights).over(routes)

    @property
    def identify(self) -> Identify | None:
        """Finds out who presents a header; None: nobody is asked."""
        return self._authenticator.identify if self.guards else None

    def parts(self) -> list[Part]:
        """What runs for it."""
        if not self.guards:
            return []
        queue = Queue(
            name=f"gateway.access.{uuid.uuid4()}",
            keys=tuple(tag_of(kind) for kind in HEARD),
            kind=QueueKind.PROJECTION,
        )
        cleaning = self._settings.api_keys_cleaning_interval
        return [
            self._authenticator,
            Loop("access", _REFRESH_SECONDS, self._authenticator.refresh, self._clock),
            Loop("expired_keys", cleaning, self._keys.clean, self._clock),
            Dispatcher(self._bus, [queue], HEARD, self._hear, self._clock),
        ]

    def checks(self) -> Mapping[str, Check]:
        """What readiness depends on."""
        return {"access": self._authenticator.problem} if self.guards else {}

    def table(self) -> Routes:
        """The routes about access itself: none while nobody has to say who they are."""
        settings, directory = self._settings, self._authenticator.directory
        table: Routes = {}
        if not self.guards:
            return table
        if settings.enable_api_keys:
            table = {**LoginRoutes(self._authenticator).table(), **ApiKeyRoutes(self._keys).table()}
        if settings.enable_controller_authorization:
            groups = Groups(self._documents, directory, KNOWN, NODE)
            by_node = settings.enable_resource_management
            table = {**table, **PermissionRoutes(groups, by_node=by_node).table()}
        return table

    async def _hear(self, _messages: Sequence[Message]) -> None:
        await self._authenticator.refresh()


class _Announcer:
    """Says AccessChanged from the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def writes(self) -> Sequence[Write]:
        """See Announcer."""
        return self._outbox.writes([AccessChanged(id=str(uuid.uuid4()))])

    async def flush(self) -> None:
        """See Announcer."""
        await self._outbox.flush_now()
