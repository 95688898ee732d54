"""The gateway's questions to the registry, over its documented API."""

import asyncio
from typing import Any

import aiohttp
import msgspec
import structlog

from chassis.errors import Refused

_log = structlog.get_logger()


class RegistryUnreachable(Refused):
    """registry unreachable"""


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of the registry's storage."""

    free: int
    total: int


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    message: str = ""
    body: Any = None


class Registry:
    """Asks the registry at ``url``; ``running`` and ``disk`` are as of the last poll."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None
        self._first_poll: asyncio.Task[None] | None = None
        self.running = False
        self.disk: Disk | None = None

    async def start(self) -> None:
        """See Part."""
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        self._first_poll = asyncio.create_task(self.poll(), name="registry:first-poll")

    async def stop(self) -> None:
        """See Part."""
        if self._first_poll is not None:
            self._first_poll.cancel()
            await asyncio.gather(self._first_poll, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def has_template(self, template_id: str) -> bool:
        """Whether the registry knows a template; RegistryUnreachable when it does not answer."""
        return (await self._ask("/registry/v2/vm", {"id": template_id})).status == "OK"

    async def read_disk(self) -> Disk:
        """Free and total bytes, asked now; RegistryUnreachable when it does not answer."""
        answer = await self._ask("/registry/disk", {})
        try:
            disk = msgspec.convert(answer.body, Disk)
        except msgspec.ValidationError as error:
            raise RegistryUnreachable(f"registry unreachable: {error}") from None
        return Disk(free=min(disk.free, disk.total), total=disk.total)

    async def poll(self) -> None:
        """Refresh what is answered without asking."""
        try:
            self.running = (await self._ask("/registry/status", {})).status == "OK"
            self.disk = await self.read_disk()
        except RegistryUnreachable as error:
            if self.running:
                _log.warning("registry.unreachable", error=str(error))
            self.running = False
            self.disk = None

    async def _ask(self, path: str, query: dict[str, str]) -> _Answer:
        assert self._session is not None
        try:
            async with self._session.get(self._url + path, params=query) as response:
                raw = await response.read()
            if response.status >= 500:  # noqa: PLR2004 -- the registry's own fault
                raise RegistryUnreachable(f"registry unreachable: it answered {response.status}")
            return msgspec.json.decode(raw, type=_Answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise RegistryUnreachable(f"registry unreachable: {reason}") from error
        except msgspec.MsgspecError as error:
            raise RegistryUnreachable(f"registry unreachable: {error}") from error
