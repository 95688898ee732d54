"""The agent's local socket: ``status`` and ``disjoin`` for the command line, as JSON over HTTP."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from chassis.web import json_response
from node_agent.agent import Agent
from node_agent.config import AgentSettings
from node_agent.node import VERSION

_NANOSECONDS = 1_000_000_000
_GOODBYE_LIMIT = 30.0


class Control:
    """Only the agent's own user can connect. After ``disjoin`` it calls ``ended``."""

    def __init__(
        self,
        path: Path,
        settings: AgentSettings,
        agent: Agent,
        process: str,
        ended: Callable[[], None],
    ) -> None:
        self._path = path
        self._settings = settings
        self._agent = agent
        self._process = process
        self._ended = ended
        app = web.Application()
        app.router.add_get("/status", self._status)
        app.router.add_post("/disjoin", self._disjoin)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def start(self) -> None:
        """See Part. What a killed agent left of its socket is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        await self._runner.setup()
        mask = os.umask(0o177)
        try:
            await web.UnixSite(self._runner, str(self._path)).start()
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """See Part."""
        await self._runner.cleanup()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _status(self, _request: web.Request) -> web.Response:
        settings = self._settings
        config = {
            "vm_limit": settings.max_vm_count,
            "num_workers": settings.num_workers,
            "controller_addresses": [settings.broker],
            "version": VERSION,
            "capacity_mode": settings.capacity_mode,
            "heartbeat": int(settings.heartbeat * _NANOSECONDS),
            "node_name": settings.name,
            "vm_stuck_check_delay": int(settings.vm_stuck_delay * _NANOSECONDS),
            "vm_stuck_check_timeout": int(settings.vm_stuck_timeout * _NANOSECONDS),
            "driver": settings.driver,
        }
        body = {
            "status": "running",
            "config": config,
            "process": self._process,
            "nodes": [
                {
                    "node_id": node.host.node_id,
                    "name": node.host.name,
                    "queue": node.queue,
                    "registry": node.registry,
                }
                for node in self._agent.nodes.values()
            ],
        }
        return json_response(body)

    async def _disjoin(self, _request: web.Request) -> web.Response:
        try:
            await asyncio.wait_for(self._agent.disjoin(), _GOODBYE_LIMIT)
        except TimeoutError:
            return json_response({"error": "the message broker did not confirm in time"}, 503)
        asyncio.get_running_loop().call_later(0.1, self._ended)
        return json_response({"status": "disjoined"})


class NotRunning(Exception):
    """agent socket not found"""


async def ask(path: Path, method: str, what: str) -> dict[str, Any]:
    """The running agent's answer. Raises NotRunning when nobody listens at the socket."""
    connector = aiohttp.UnixConnector(str(path))
    limit = aiohttp.ClientTimeout(total=_GOODBYE_LIMIT + 5)
    async with aiohttp.ClientSession(connector=connector, timeout=limit) as session:
        try:
            async with session.request(method, f"http://agent/{what}") as answer:
                body: dict[str, Any] = await answer.json()
                return body
        except aiohttp.ClientConnectorError as error:
            text = f"agent socket not found at {path} (agent may not be running)"
            raise NotRunning(text) from error
