"""``/tap/v1/…``: login by key."""

from api_gateway.operation import operation
from api_gateway.public.access import Login
from api_gateway.requests.cloud import HandRequest, ShakeRequest
from api_gateway.requests.values import Base64
from api_gateway.web import Call, Routes
from chassis.auth.authenticator import Authenticator

_LIMITED = {
    401: "Nobody has that key, or the secret is not its.",
    429: "Too many failed logins from this address.",
}


class LoginRoutes:
    """Open to everybody: whoever has the private key gets a session."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def table(self) -> Routes:
        """Path to verb to function."""
        return {"/tap/v1/hand": {"POST": self.hand}, "/tap/v1/shake": {"POST": self.shake}}

    @operation(Base64, body=HandRequest, bare=True, codes=_LIMITED)
    async def hand(self, call: Call) -> bytes:
        """A secret sealed for the key's holder: bare base64, which strict decoders read."""
        fields = await call.fields()
        return await self._authenticator.hand(fields.required_text("id"), call.address)

    @operation(Login, body=ShakeRequest, bare=True, codes=_LIMITED)
    async def shake(self, call: Call) -> bytes:
        """The session that the secret is traded for, without the envelope."""
        fields = await call.fields()
        return await self._authenticator.shake(
            fields.required_text("id"), fields.required_text("secret"), call.address
        )
