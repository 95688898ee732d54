"""From a request's Authorization header to who asks."""

import structlog

from chassis.auth.directory import Announcer, Directory, Silence
from chassis.auth.identity import ROOT, Identity, is_root, read_session
from chassis.auth.limiter import LoginLimiter
from chassis.auth.logins import Logins, encode_session
from chassis.auth.settings import AuthSettings
from chassis.auth.store import AccessStore
from chassis.clock import Clock
from chassis.errors import Unauthenticated, Unavailable

_log = structlog.get_logger()


class Authenticator:
    """Knows callers by the root token or by a session of their key."""

    def __init__(
        self,
        settings: AuthSettings,
        store: AccessStore,
        clock: Clock,
        announcer: Announcer | None = None,
    ) -> None:
        self._root_token = settings.root_token
        self._store = store
        self.directory = Directory(store, announcer or Silence())
        self._logins = Logins(store, self.directory, settings, clock)
        self._limiter = LoginLimiter(settings.login_rate, clock)
        self._with_keys = settings.enable_api_keys
        self._started = False

    async def start(self) -> None:
        """See Part. What cannot be read now is read by the next refresh."""
        try:
            await self.refresh()
        except Unavailable as error:
            _log.warning("access.not_read", error=str(error))

    async def stop(self) -> None:
        """See Part."""

    async def problem(self) -> str:
        """For readiness: empty, or what is missing."""
        return "" if self.directory.revision >= 0 else "not read yet"

    async def identify(self, header: str | None) -> Identity:
        """Who presents this header; Unauthenticated, or StoreDown."""
        scheme, _, parameter = (header or "").partition(" ")
        match scheme.lower():
            case "basic" if is_root(parameter, self._root_token):
                return ROOT
            case "bearer" if self._with_keys:
                key = await self._logins.key_of(read_session(parameter))
                return Identity(name=key.id, groups=key.groups)
            case _:
                raise Unauthenticated

    async def hand(self, key_id: str, address: str) -> bytes:
        """First step of a login from an address: the sealed secret, as bare text."""
        self._limiter.admit(address)
        try:
            return (await self._logins.hand(key_id)).encode()
        except Unauthenticated:
            self._limiter.failed(address)
            raise

    async def shake(self, key_id: str, secret: str, address: str) -> bytes:
        """Second step: the session, as documented."""
        self._limiter.admit(address)
        try:
            return encode_session(await self._logins.shake(key_id, secret))
        except Unauthenticated:
            self._limiter.failed(address)
            raise

    async def refresh(self) -> None:
        """Read what others wrote, forget what has expired: every two seconds. StoreDown."""
        if not self._started:
            await self._store.start()
            self._started = True
        await self.directory.reread()
        self._logins.forget_expired()
