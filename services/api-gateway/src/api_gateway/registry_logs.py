"""The registry's logs, passed on as they come: nothing is held but the piece on its way."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import aiohttp
import msgspec
from yarl import URL

from api_gateway.registry_client import RegistryUnreachable, unreachable
from chassis.credentials import credentials
from chassis.errors import Refused
from chassis.streams import Stream
from chassis.web import REQUEST_ID_HEADER

_QUIET_SECONDS = 60.0
"""A stream without news says so every quarter of a minute."""

_PASSED_ON = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Length",
    "Content-Range",
    "X-Content-Type-Options",
)


class _Envelope(msgspec.Struct, frozen=True):
    status: str
    message: str = ""
    body: msgspec.Raw = msgspec.Raw(b"null")


class RegistryLogs:
    """Calls the registry at ``url``; ``timeout`` in seconds until it begins to answer."""

    def __init__(self, url: str, timeout: float, root_token: str = "") -> None:
        self._credentials = credentials(root_token)
        self._url = URL(url)
        self._begin = timeout
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """See Part."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_QUIET_SECONDS)
        self._session = aiohttp.ClientSession(
            timeout=timeout, auto_decompress=False, headers=self._credentials
        )

    async def stop(self) -> None:
        """See Part."""
        if self._session is not None:
            await self._session.close()

    async def read(self, path: str, query: Mapping[str, str], request_id: str) -> bytes:
        """The body of an answer in the envelope; Refused with its message when it is FAIL."""
        response = await self._ask(path, query, {REQUEST_ID_HEADER: request_id})
        async with response:
            return await _body(response)

    async def open(
        self, path: str, query: Mapping[str, str], request_id: str, wanted: str = ""
    ) -> Stream:
        """An answer of any length; ``wanted`` is the Range header. Refused, RegistryUnreachable."""
        headers = {REQUEST_ID_HEADER: request_id} | ({"Range": wanted} if wanted else {})
        response = await self._ask(path, query, headers)
        if response.content_type == "application/json":
            async with response:
                await _body(response)
            raise Refused("the registry answered without a file")
        given = response.headers
        return Stream(
            pieces=_Relay(response),
            status=response.status,
            content_type=given.get("Content-Type", "application/octet-stream"),
            headers={name: given[name] for name in _PASSED_ON if name in given},
        )

    async def _ask(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        assert self._session is not None
        url = self._url.joinpath(path.lstrip("/"))
        try:
            async with asyncio.timeout(self._begin):
                response = await self._session.get(url, params=query, headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error
        if response.status >= 500:  # noqa: PLR2004 -- the registry's own fault
            response.close()
            raise RegistryUnreachable(f"registry unreachable: it answered {response.status}")
        return response


async def _body(response: aiohttp.ClientResponse) -> bytes:
    try:
        answer = msgspec.json.decode(await response.read(), type=_Envelope)
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
        raise unreachable(error) from error
    if answer.status != "OK":
        raise Refused(answer.message)
    return bytes(answer.body)


class _Relay:
    """The pieces of an answer as they come in."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except aiohttp.ClientError as error:
            raise ConnectionError(f"the registry's answer was cut off: {error!r}") from error

    async def aclose(self) -> None:
        """Leave the rest of the answer."""
        self._response.close()
