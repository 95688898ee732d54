"""``/api/v1/apikey``: users' keys. Parameters come in the query or as JSON."""

import msgspec

from api_gateway.domain.fields import Fields, MissingField
from api_gateway.operation import operation
from api_gateway.public import envelope
from api_gateway.requests.cloud import KeyChanges, NewKey
from api_gateway.requests.values import ById, PerhapsById
from api_gateway.web import Call, Routes
from chassis.auth import rsa
from chassis.auth.keys import MAX_TTL, Keys, ShownKey


class ApiKeyRoutes:
    """Everything that can be asked of keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/apikey": {
                "GET": self.get,
                "POST": self.create,
                "PUT": self.update,
                "DELETE": self.delete,
            }
        }

    @operation(list[ShownKey], query=PerhapsById)
    async def get(self, call: Call) -> bytes:
        """All keys; with ``id`` an array of one."""
        return envelope.ok(msgspec.json.encode(await self._keys.shown(call.query("id"))))

    @operation((None, str), either=NewKey)
    async def create(self, call: Call) -> bytes:
        """Make a key; without ``publicKey`` the answer is the private half."""
        given = await call.parameters()
        ttl, groups = _ttl(given), given.words("groups")
        if ttl is None:
            raise MissingField("ttl")
        if groups is None:
            raise MissingField("groups")
        public = _public_key(given)
        private = await self._keys.create(given.required_text("id"), ttl, groups, public)
        return envelope.OK if private is None else envelope.ok(msgspec.json.encode(private))

    @operation(either=KeyChanges)
    async def update(self, call: Call) -> bytes:
        """Change groups and life; the key itself stays."""
        given = await call.parameters()
        identity = given.required_text("id")
        await self._keys.update(identity, _ttl(given), given.words("groups"))
        return envelope.OK

    @operation(either=ById)
    async def delete(self, call: Call) -> bytes:
        """Remove a key and with it every session."""
        await self._keys.delete((await call.parameters()).required_text("id"))
        return envelope.OK


def _ttl(given: Fields) -> int | None:
    return given.integer("ttl", 1, MAX_TTL, numeric_text=True)


def _public_key(given: Fields) -> bytes | None:
    text = given.text("publicKey")
    if text is None:
        return None
    try:
        return rsa.read_public(text)
    except rsa.BadKey:
        raise given.bad(
            "publicKey", "an RSA key of 2048 bits or more, PKIX DER in base64"
        ) from None
