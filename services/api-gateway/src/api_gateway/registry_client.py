"""The gateway's questions to the registry, over its documented API."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import structlog

from api_gateway.metrics import REACHABLE
from chassis.credentials import credentials
from chassis.errors import Refused
from chassis.unreached import reason
from chassis.web import ACTOR_HEADER, REQUEST_ID_HEADER

_log = structlog.get_logger()


class RegistryUnreachable(Refused):
    """registry unreachable"""


def unreachable(error: Exception) -> RegistryUnreachable:
    """What went wrong, in words for callers; the log has the error itself, as its cause."""
    broken = isinstance(error, msgspec.MsgspecError)
    told = "its answer was not understood" if broken else reason(error)
    return RegistryUnreachable(f"registry unreachable: {told}")


class RegistryDisk(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of the registry's storage."""

    free: int
    total: int


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """On whose behalf the gateway asks; the registry says so in its events."""

    actor: str
    request_id: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    message: str = ""
    body: Any = None


class Registry:
    """Asks the registry at ``url``; ``running`` and ``disk`` are as of the last poll."""

    def __init__(self, url: str, timeout: float, root_token: str = "") -> None:
        self._url = url
        self._credentials = credentials(root_token)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None
        self._first_poll: asyncio.Task[None] | None = None
        self.running = False
        self.disk: RegistryDisk | None = None

    async def start(self) -> None:
        """See Part."""
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._credentials)
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
        return (await self._get("/registry/v2/vm", {"id": template_id})).status == "OK"

    async def remove(self, template_id: str, asker: Asker) -> None:
        """Remove a template with all its tags; Refused tells what the registry objects to."""
        await self._delete("/registry/vm", template_id, {}, asker)

    async def revert(
        self, template_id: str, tag: str | None, version: int | None, asker: Asker
    ) -> None:
        """Remove what is newer than a tag or version; with neither, the latest. Else Refused."""
        given = {"tag": tag, "version": version}
        target: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if target:
            target["keep_target"] = True
        await self._delete("/registry/revert", template_id, target, asker)

    async def read_disk(self) -> RegistryDisk:
        """Free and total bytes, asked now; RegistryUnreachable when it does not answer."""
        answer = await self._get("/registry/disk", {})
        try:
            disk = msgspec.convert(answer.body, RegistryDisk)
        except msgspec.ValidationError as error:
            raise unreachable(error) from error
        return RegistryDisk(free=min(disk.free, disk.total), total=disk.total)

    async def poll(self) -> None:
        """Refresh what is answered without asking."""
        try:
            self.running = (await self._get("/registry/status", {})).status == "OK"
            self.disk = await self.read_disk()
        except RegistryUnreachable as error:
            if self.running:
                _log.warning("registry.unreachable", error=repr(error.__cause__ or error))
            self.running = False
            self.disk = None
        REACHABLE.set(self.running)

    async def _get(self, path: str, query: dict[str, str]) -> _Answer:
        return await self._ask("GET", path, params=query)

    async def _delete(
        self, path: str, template_id: str, body: dict[str, Any], asker: Asker
    ) -> None:
        answer = await self._ask(
            "DELETE",
            path,
            params={"id": template_id},
            data=_sent_once(msgspec.json.encode(body)),
            headers={REQUEST_ID_HEADER: asker.request_id, ACTOR_HEADER: asker.actor},
        )
        if answer.status != "OK":
            raise Refused(answer.message)

    async def _ask(self, verb: str, path: str, **given: Any) -> _Answer:
        assert self._session is not None
        try:
            async with self._session.request(verb, self._url + path, **given) as response:
                raw = await response.read()
            if response.status >= 500:  # noqa: PLR2004 -- the registry's own fault
                raise RegistryUnreachable(f"registry unreachable: it answered {response.status}")
            return msgspec.json.decode(raw, type=_Answer)
        except (aiohttp.ClientError, msgspec.MsgspecError, OSError) as error:
            raise unreachable(error) from error


async def _sent_once(body: bytes) -> AsyncIterator[bytes]:
    """A body that cannot be repeated.

    The client sends a DELETE again when its connection breaks, and a second revert takes one more
    version.
    """
    yield body
