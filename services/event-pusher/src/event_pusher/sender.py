"""One HTTP POST, and what came of it."""

import asyncio
import base64
import ssl
from collections.abc import Mapping
from functools import lru_cache

import msgspec
from yarl import URL

from chassis.clock import Clock
from event_pusher.connection import Answer, Broken, Connection
from event_pusher.domain.schedule import wish_of

_USER_AGENT = "corral-event-pusher"
_SUCCESS = range(200, 300)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """``status`` 0: no HTTP answer came. ``wish`` is the receiver's Retry-After in seconds."""

    status: int = 0
    error: str = ""
    wish: float | None = None

    @property
    def arrived(self) -> bool:
        """Whether the receiver has taken it: any 2xx; a redirect is a failure."""
        return self.status in _SUCCESS


class Target(msgspec.Struct, frozen=True):
    """A URL as requests need it; ``head`` is the part that all requests to it begin with."""

    host: str
    port: int
    tls: bool
    head: bytes

    @property
    def origin(self) -> tuple[str, int, bool]:
        """What connections are shared by."""
        return self.host, self.port, self.tls


class Sender:
    """Posts over kept-alive connections; ``timeout`` in seconds, from connect to last byte.

    Callers bound the requests in flight, and by that the connections.
    """

    def __init__(self, timeout: float, clock: Clock) -> None:
        self._timeout = timeout
        self._clock = clock
        self._tls: ssl.SSLContext | None = None
        self._idle: dict[tuple[str, int, bool], list[Connection]] = {}

    async def start(self) -> None:
        """See Part; connections are made when they are needed."""

    async def stop(self) -> None:
        """Close every connection that is not in use."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def send(
        self, url: URL, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Outcome:
        """Post ``body``; never raises for what a receiver or the network may do."""
        target = target_of(url)
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        length = f"{more}Content-Length: {len(body)}\r\n\r\n".encode()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._post(target, target.head + length + body)
        except (OSError, TimeoutError) as error:
            return Outcome(error=f"{type(error).__name__}: {error}"[:200])
        if not answer.retry_after:
            return Outcome(status=answer.status)
        return Outcome(status=answer.status, wish=wish_of(answer.retry_after, self._clock.now()))

    async def _post(self, target: Target, request: bytes) -> Answer:
        """Over an idle connection; over a new one when that was closed in the meantime."""
        idle = self._idle.setdefault(target.origin, [])
        while idle:
            connection = idle.pop()
            if connection.usable:
                try:
                    return await self._over(connection, target, request)
                except Broken:
                    if not connection.untouched:
                        raise
        return await self._over(await self._connect(target), target, request)

    async def _over(self, connection: Connection, target: Target, request: bytes) -> Answer:
        try:
            answer = await connection.post(request)
        except BaseException:
            connection.close()
            raise
        if connection.usable:
            self._idle.setdefault(target.origin, []).append(connection)
        return answer

    async def _connect(self, target: Target) -> Connection:
        if target.tls and self._tls is None:
            self._tls = ssl.create_default_context()
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection, target.host, target.port, ssl=self._tls if target.tls else None
        )
        return connection


@lru_cache(maxsize=1024)
def target_of(url: URL) -> Target:
    """What a URL means for its requests; credentials in it become Basic authentication."""
    lines = [
        f"POST {url.raw_path_qs} HTTP/1.1",
        f"Host: {url.host_port_subcomponent}",
        f"User-Agent: {_USER_AGENT}",
        "Content-Type: application/json",
    ]
    if url.user is not None:
        credentials = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        lines.append(f"Authorization: Basic {credentials}")
    head = "".join(f"{line}\r\n" for line in lines).encode()
    return Target(url.raw_host or "", url.port or 0, url.scheme == "https", head)
