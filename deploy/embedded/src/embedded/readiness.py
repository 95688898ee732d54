"""Ready means: the next POST of a VM would start one."""

import asyncio
from typing import Any

from chassis.errors import CorralError
from contracts.nodes import NodeState
from corral.cloud import Cloud, CloudError
from embedded.demo import Demo

_EVERY = 0.1


class NotReady(CorralError):
    """The cloud did not become ready in time; the text says what is missing."""


class Readiness:
    """Starts when the gateway shows an active node, and the demo template if there is one."""

    def __init__(self, address: str, root_token: str, demo: Demo | None, limit: float) -> None:
        self._address = address
        self._root_token = root_token
        self._demo = demo
        self._limit = limit
        self._missing = ""

    async def start(self) -> None:
        """See Part. NotReady."""
        try:
            async with (
                asyncio.timeout(self._limit),
                Cloud(self._address, self._root_token) as cloud,
            ):
                while not await self._ready(cloud):  # noqa: ASYNC110 -- over HTTP, polled
                    await asyncio.sleep(_EVERY)
        except TimeoutError:
            raise NotReady(f"not ready within {self._limit:g} s: {self._missing}") from None

    async def stop(self) -> None:
        """See Part."""

    async def _ready(self, cloud: Cloud) -> bool:
        try:
            nodes: list[dict[str, Any]] = await cloud.get("/api/v1/node")
            templates: list[dict[str, Any]] = await cloud.get("/api/v1/registry/vm")
        except CloudError as error:
            self._missing = str(error)
            return False
        states = [node["state"] for node in nodes]
        if not any(state in (NodeState.ACTIVE, NodeState.DRAIN) for state in states):
            self._missing = f"no active node ({', '.join(states) or 'none'})"
            return False
        wanted = self._demo and not self._demo.problem and self._demo.template_id
        if wanted and wanted not in {template["id"] for template in templates}:
            self._missing = "the gateway does not show the demo template"
            return False
        return True
