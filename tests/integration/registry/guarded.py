"""A registry that asks who its callers are."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from chassis.store.port import Store
from tests.integration.gateway.cloud import Answer
from tests.registries import RunningRegistry, running_registry
from tests.tap import ROOT_TOKEN

KEYS_ON = {"enable_auth": True, "root_token": ROOT_TOKEN, "enable_api_keys": True}
GROUPS_ON = KEYS_ON | {"enable_registry_authorization": True}
ALL_ON = GROUPS_ON | {"enable_resource_management": True}


class Door:
    """Calls one registry."""

    def __init__(self, session: aiohttp.ClientSession, registry: RunningRegistry) -> None:
        self.session = session
        self.registry = registry
        self.address = registry.address

    async def __call__(self, verb: str, path: str, body: Any = None, **given: Any) -> Answer:
        if body is not None:
            given["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.request(verb, self.address + path, **given) as response:
            return Answer(response.status, dict(response.headers), await response.read())


@asynccontextmanager
async def guarded(store: Store, base: Path, **settings: Any) -> AsyncIterator[Door]:
    """A registry with these settings."""
    async with (
        running_registry(store, base, **(KEYS_ON | settings)) as registry,
        aiohttp.ClientSession() as session,
    ):
        yield Door(session, registry)
