"""``/api/v1/status`` and ``/config/v1/auth``: what clients ask first. Neither ever waits."""

import msgspec

from api_gateway.configuration import Configuration
from api_gateway.operation import operation
from api_gateway.public import envelope
from api_gateway.public.cloud import Logins, Status
from api_gateway.registry_client import Registry
from api_gateway.web import Call, Routes


class StatusRoutes:
    """What the cloud says of itself."""

    def __init__(
        self, registry: Registry, configuration: Configuration, version: str, license_: str
    ) -> None:
        self._registry = registry
        self._configuration = configuration
        self._version = version
        self._license = license_

    def table(self) -> Routes:
        """Path to verb to function."""
        return {"/api/v1/status": {"GET": self.get}, "/config/v1/auth": {"GET": self.auth}}

    @operation(Status)
    async def get(self, _call: Call) -> bytes:
        """Version, licence, and whether the registry answered the last poll."""
        body = Status(
            version=self._version,
            registry_address=self._configuration.registry_address,
            registry_status="Running" if self._registry.running else "FAIL",
            license=self._license,
        )
        return envelope.ok(msgspec.json.encode(body))

    @operation(Logins)
    async def auth(self, _call: Call) -> bytes:
        """Which logins there are; an absent ``oidc`` tells clients that there is no such one."""
        return envelope.ok(msgspec.json.encode(Logins()))
