"""What is left in the registry about a VM that failed: its own logs, and the agent's about it.

Best effort, bounded in time: a failure is reported whether or not anybody took its logs.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import aiohttp
import structlog

from chassis import telemetry
from chassis.credentials import credentials
from node_agent.domain.record import Record
from node_agent.drivers.port import DriverError, VmDriver

AGENT_LOG = "agent.log"
_SECONDS = 5.0
_AT_ONCE = 4
_REMEMBERED_LINES = 2000
_log = structlog.get_logger()


class FailureLogs:
    """Keeps the agent's last lines in memory, and uploads those of an instance when it fails."""

    def __init__(self, *, enabled: bool, root_token: str = "") -> None:
        self._enabled = enabled
        self._credentials = credentials(root_token)
        self._recent: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED_LINES)
        self._few = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Begin to remember."""
        if self._enabled:
            telemetry.listen(self._hear)

    async def stop(self) -> None:
        """Forget."""
        telemetry.unlisten(self._hear)
        if self._session is not None:
            await self._session.close()

    async def leave(self, driver: VmDriver, record: Record, reason: str) -> tuple[str, ...]:
        """Upload what there is; the paths below ``files/logs/`` of what the registry took.

        The VM should still be there. Takes seconds at most and raises nothing.
        """
        _log.warning("vm.failing", vm=record.vm_name, reason=reason)
        left: list[str] = []
        if not self._enabled or not record.registry:
            return ()
        try:
            async with asyncio.timeout(_SECONDS), self._few:
                folder = await _folder(driver, record)
                for name, content in (await self._collect(driver, record)).items():
                    await self._put(record.registry, f"{folder}/{name}", content)
                    left.append(f"{folder}/{name}")
        except (DriverError, aiohttp.ClientError, OSError, TimeoutError) as error:
            _log.info("failure_logs.not_left", vm=record.vm_name, error=repr(error))
        except Exception:
            _log.exception("failure_logs.not_left", vm=record.vm_name)
        return tuple(left)

    async def _collect(self, driver: VmDriver, record: Record) -> dict[str, bytes]:
        lines = [line for instance, line in self._recent if instance == record.instance_id]
        own = {AGENT_LOG: "\n".join([*lines, ""]).encode()} if lines else {}
        return own | dict(await driver.logs(record.vm_name))

    async def _put(self, registry: str, path: str, content: bytes) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(raise_for_status=True, headers=self._credentials)
        url = f"{registry.rstrip('/')}/files/logs/{path}"
        async with self._session.put(url, data=content):
            pass

    def _hear(self, event: Mapping[str, Any], line: str) -> None:
        if (instance := event.get("instance")) is not None:
            self._recent.append((instance, line))


async def _folder(driver: VmDriver, record: Record) -> str:
    """The VM's uuid; where there never was a VM, the instance's id."""
    try:
        return (await driver.info(record.vm_name)).uuid or record.instance_id
    except DriverError:
        return record.instance_id
