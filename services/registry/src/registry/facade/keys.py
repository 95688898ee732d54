"""``/v1/apikey`` and ``/tap/v1/…``: users' keys, and logging in with them."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from chassis.auth import rsa
from chassis.auth.authenticator import Authenticator
from chassis.auth.keys import MAX_TTL, Keys
from registry.facade.envelope import (
    BadRequest,
    done,
    ok,
    parameters,
    required,
    text,
    whole,
    words,
)


class LoginRoutes:
    """Open to everybody: whoever has the private key gets a session."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/tap/v1/hand", self.hand)
        app.router.add_post("/tap/v1/shake", self.shake)

    async def hand(self, request: web.Request) -> web.Response:
        """A secret sealed for the key's holder: bare base64, which strict decoders read."""
        given = await parameters(request)
        sealed = await self._authenticator.hand(required(given, "id"), request.remote or "")
        return web.Response(body=sealed, content_type="text/plain")

    async def shake(self, request: web.Request) -> web.Response:
        """The session that the secret is traded for, without the envelope."""
        given = await parameters(request)
        session = await self._authenticator.shake(
            required(given, "id"), required(given, "secret"), request.remote or ""
        )
        return web.Response(body=session, content_type="application/json")


class KeyRoutes:
    """Everything that can be asked of keys. Parameters come in the query or as JSON."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/v1/apikey", self.get, allow_head=False)
        app.router.add_post("/v1/apikey", self.create)
        app.router.add_put("/v1/apikey", self.update)
        app.router.add_delete("/v1/apikey", self.delete)

    async def get(self, request: web.Request) -> web.Response:
        """All keys; with ``id`` an array of one."""
        return ok(await self._keys.shown(request.query.get("id") or None))

    async def create(self, request: web.Request) -> web.Response:
        """Make a key; without ``publicKey`` the answer is the private half."""
        given = await parameters(request)
        ttl, groups = _ttl(given), words(given, "groups")
        if ttl is None or groups is None:
            raise BadRequest(f"{'ttl' if ttl is None else 'groups'} is required")
        key = _public_key(given)
        private = await self._keys.create(required(given, "id"), ttl, groups, key)
        return done() if private is None else ok(private)

    async def update(self, request: web.Request) -> web.Response:
        """Change groups and life; the key itself stays."""
        given = await parameters(request)
        await self._keys.update(required(given, "id"), _ttl(given), words(given, "groups"))
        return done()

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a key and with it every session."""
        await self._keys.delete(required(await parameters(request), "id"))
        return done()


def _ttl(given: Mapping[str, Any]) -> int | None:
    ttl = whole(given, "ttl")
    if ttl is not None and not 1 <= ttl <= MAX_TTL:
        raise BadRequest(f"ttl must be from 1 to {MAX_TTL}")
    return ttl


def _public_key(given: Mapping[str, Any]) -> bytes | None:
    key = text(given, "publicKey")
    if not key:
        return None
    try:
        return rsa.read_public(key)
    except rsa.BadKey:
        raise BadRequest(
            "publicKey must be an RSA key of 2048 bits or more, PKIX DER in base64"
        ) from None
