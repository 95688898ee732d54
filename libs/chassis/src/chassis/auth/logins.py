"""Login by key (TAP): a sealed secret, traded once for a session. Shared by all replicas.

Clients log in as often as before every single request, so a login is two writes and no more:
one document is the secret first and then the session.
"""

import hashlib
import hmac
import secrets
import uuid
from datetime import timedelta

import msgspec

from chassis.auth import rsa
from chassis.auth.directory import Directory
from chassis.auth.identity import Session
from chassis.auth.settings import AuthSettings
from chassis.auth.store import AccessStore
from chassis.clock import Clock
from chassis.errors import Unauthenticated
from contracts.identity import ApiKeyDocument, LoginDocument

_SECRET_BYTES = 20
_TOKEN_BYTES = 40
_REMEMBERED = 10_000
"""Sessions in memory; of older ones the database is asked."""


class Logins:
    """Gives out sessions and knows whose they are. All raise Unauthenticated, or StoreDown."""

    def __init__(
        self, store: AccessStore, directory: Directory, settings: AuthSettings, clock: Clock
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._secret_life = timedelta(seconds=settings.api_keys_secret_ttl)
        self._session_life = timedelta(seconds=settings.api_keys_session_ttl)
        self._sessions: dict[str, LoginDocument] = {}

    async def hand(self, key_id: str) -> str:
        """A new secret for the holder of the key alone."""
        key = await self._store.key(key_id)
        now = self._clock.now()
        if key is None or key.expires <= now:
            raise Unauthenticated
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        login = LoginDocument(
            id=_session_of(secret),
            key_id=key.id,
            incarnation=key.incarnation,
            expires=now + self._secret_life,
        )
        await self._store.add_login(login)
        return rsa.seal(key.public_key, secret)

    async def shake(self, key_id: str, secret: str) -> Session:
        """A session for a secret, which is worth nothing afterwards."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        identity, now = _session_of(secret), self._clock.now()
        expires = now + self._session_life
        login = await self._store.trade(identity, key_id, now, _digest(token), expires)
        if login is None:
            raise Unauthenticated
        self._remember(login)
        return Session(user_name=key_id, token=token, session_id=identity)

    async def key_of(self, session: Session) -> ApiKeyDocument:
        """The key as it is now, of a session that is good."""
        login = self._sessions.get(session.session_id)
        if login is None:
            login = await self._store.login(session.session_id)
            if login is None:
                raise Unauthenticated
        token = hmac.compare_digest(login.token_sha256, _digest(session.token))
        now = self._clock.now()
        if not token or login.key_id != session.user_name or login.expires <= now:
            raise Unauthenticated
        self._remember(login)
        key = self._key(login)
        if key is None:
            await self._directory.reread()
            key = self._key(login)
        if key is None or key.expires <= now:
            raise Unauthenticated
        return key

    def forget_expired(self) -> None:
        """Drop from memory what is worth nothing any more."""
        now = self._clock.now()
        self._sessions = {i: s for i, s in self._sessions.items() if s.expires > now}

    def _key(self, login: LoginDocument) -> ApiKeyDocument | None:
        """The key in memory, unless another has taken its name since."""
        key = self._directory.keys.get(login.key_id)
        return key if key is not None and key.incarnation == login.incarnation else None

    def _remember(self, login: LoginDocument) -> None:
        self._sessions[login.id] = login
        if len(self._sessions) > _REMEMBERED:
            del self._sessions[next(iter(self._sessions))]


def encode_session(session: Session) -> bytes:
    """The documented answer to a shake: no envelope."""
    return msgspec.json.encode({"id": session.user_name, "data": session})


def _session_of(secret: str) -> str:
    """The id of the session that a secret is traded for, a UUID; it does not tell the secret."""
    return str(uuid.UUID(bytes=_digest(secret)[:16], version=4))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
