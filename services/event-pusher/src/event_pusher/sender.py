"""One HTTP POST, and what came of it."""

import asyncio
import base64
import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from functools import cache, lru_cache

import msgspec
from yarl import URL

from chassis.clock import Clock
from event_pusher.addresses import Addresses, SocketAddress
from event_pusher.connection import Answer, Broken, Connection
from event_pusher.domain.schedule import wish_of

_USER_AGENT = "corral-event-pusher"
_LONGEST_ERROR = 200
_SUCCESS = range(200, 300)
_GONE = 410
_BUSY = frozenset({429, 503})


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """``status`` 0: no HTTP answer came. ``wish`` is the receiver's Retry-After in seconds.

    ``excerpt`` is how the answer's body begins.
    """

    status: int = 0
    error: str = ""
    wish: float | None = None
    excerpt: bytes = b""

    @property
    def arrived(self) -> bool:
        """Whether the receiver has taken it: any 2xx; a redirect is a failure."""
        return self.status in _SUCCESS

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status == _GONE

    @property
    def busy(self) -> bool:
        """Whether all requests should wait for the time that is wished, not only this one."""
        return self.status in _BUSY


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
    """Posts over kept-alive connections of its own; one for each endpoint.

    ``timeout`` in seconds, from looking up the name to the last byte. ``guarded``: only to
    addresses that webhooks may reach. Callers bound the requests in flight, and by that the
    connections.
    """

    def __init__(
        self, addresses: Addresses, timeout: float, clock: Clock, *, guarded: bool
    ) -> None:
        self._addresses = addresses
        self._timeout = timeout
        self._clock = clock
        self._guarded = guarded
        self._idle: dict[tuple[str, int, bool], list[Connection]] = {}

    def close(self) -> None:
        """Close every connection that is not in use."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def send(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        content_type: str = "application/json",
    ) -> Reply:
        """Post ``body``; never raises for what a receiver or the network may do."""
        target = target_of(url, content_type)
        more = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        length = f"{more}Content-Length: {len(body)}\r\n\r\n".encode()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._post(target, target.head + length + body)
        except TimeoutError:
            return Reply(error=f"no answer within {self._timeout:g} s")
        except (OSError, UnicodeError) as error:
            return Reply(error=_told(error)[:_LONGEST_ERROR])
        wish = wish_of(answer.retry_after, self._clock.now()) if answer.retry_after else None
        return Reply(status=answer.status, wish=wish, excerpt=answer.excerpt)

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
        found = await self._addresses.of(target.host, target.port, guarded=self._guarded)
        for address in found[:-1]:
            with contextlib.suppress(OSError):
                return await _connected(target, address)
        return await _connected(target, found[-1])


def _told(error: OSError | UnicodeError) -> str:
    """What went wrong in words: whoever made the webhook reads it, and knows no Python."""
    if isinstance(error, UnicodeError):
        return "the name of its host is not valid"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with it: {(error.reason or 'broken off').replace('_', ' ').lower()}"
    if not error.errno:
        return str(error) or "it closed the connection"
    own = isinstance(error, socket.gaierror)  # its numbers are not the system's
    return (error.strerror or str(error)) if own else os.strerror(error.errno)


async def _connected(target: Target, address: SocketAddress) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection,
        address[0],
        address[1],
        ssl=_tls() if target.tls else None,
        server_hostname=target.host if target.tls else None,
    )
    return connection


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@lru_cache(maxsize=1024)
def target_of(text: str, content_type: str) -> Target:
    """What a URL means for its requests; credentials in it become Basic authentication."""
    url = URL(text)
    lines = [
        f"POST {url.raw_path_qs} HTTP/1.1",
        f"Host: {url.host_port_subcomponent}",
        f"User-Agent: {_USER_AGENT}",
        f"Content-Type: {content_type}",
    ]
    if url.user is not None:
        credentials = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        lines.append(f"Authorization: Basic {credentials}")
    head = "".join(f"{line}\r\n" for line in lines).encode()
    return Target(url.raw_host or "", url.port or 0, url.scheme == "https", head)
