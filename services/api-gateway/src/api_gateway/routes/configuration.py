"""``/api/v1/config``: settings of the whole cloud (an addition of ours)."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from api_gateway.configuration import Configuration
from api_gateway.domain.fields import Fields
from api_gateway.domain.http_url import split_http_url
from api_gateway.happened import happened
from api_gateway.operation import operation
from api_gateway.outbox import Outbox
from api_gateway.public import envelope
from api_gateway.public.cloud import CloudSettings
from api_gateway.requests.cloud import SettingsRequest
from api_gateway.web import Call, Routes
from chassis.clock import Clock
from chassis.store.port import Write
from contracts.configuration import CLOUD, ConfigurationChanged, ConfigurationDocument
from contracts.events import EventHappened, EventKind

_NAMESPACE = uuid.UUID("2d1f9f0e-6f0a-4a67-9e0a-0d6c0c7b1e55")


class ConfigurationRoutes:
    """Shows and changes them. Other gateways follow within seconds, nodes when they hear of it."""

    def __init__(self, configuration: Configuration, outbox: Outbox, clock: Clock) -> None:
        self._configuration = configuration
        self._outbox = outbox
        self._clock = clock

    def table(self) -> Routes:
        """Path to verb to function."""
        return {"/api/v1/config": {"GET": self.get, "PUT": self.put}}

    @operation(CloudSettings)
    async def get(self, _call: Call) -> bytes:
        """The settings in effect, and the address that overrides the gateway's own, if any."""
        await self._configuration.reread()
        known = self._configuration.now
        body = CloudSettings(
            registry_address=self._configuration.registry_address,
            registry_address_override=known.registry_address,
            central_logging=known.central_logging,
        )
        return envelope.ok(msgspec.json.encode(body))

    @operation(body=SettingsRequest)
    async def put(self, call: Call) -> bytes:
        """Change what is given; an empty ``registry_address`` is the gateway's own again."""
        sets = _sets(await call.fields())

        def said(document: ConfigurationDocument) -> Sequence[Write]:
            changed = ConfigurationChanged(
                id=_message_id(document, "changed"), configuration=document
            )
            return self._outbox.writes([changed, self._event(document, sets, call)])

        if sets:
            await self._configuration.change(sets, said)
            await self._outbox.flush_now()
        return envelope.OK

    def _event(
        self, document: ConfigurationDocument, sets: dict[str, Any], call: Call
    ) -> EventHappened:
        kind, at = EventKind.CONFIG_CHANGED, self._clock.now()
        identity = _message_id(document, kind)
        return happened(call, kind, ("configAction", CLOUD), sets, identity=identity, at=at)


def _sets(fields: Fields) -> dict[str, Any]:
    given = {
        "registry_address": _address(fields),
        "central_logging": fields.flag("central_logging"),
    }
    return {name: value for name, value in given.items() if value is not None}


def _address(fields: Fields) -> str | None:
    text = fields.text_as_given("registry_address")
    if not text:
        return text
    if split_http_url(text) is None:
        raise fields.bad("registry_address", "a URL such as http://registry.example:8089")
    return text.rstrip("/")


def _message_id(document: ConfigurationDocument, kind: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{document.generation}:{kind}"))
