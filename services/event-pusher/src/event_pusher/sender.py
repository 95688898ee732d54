"""One HTTP POST, and what came of it."""

from collections.abc import Mapping

import aiohttp
import msgspec
from yarl import URL

from chassis.clock import Clock
from event_pusher.domain.schedule import wish_of

_HEADERS = {"Content-Type": "application/json", "User-Agent": "corral-event-pusher"}
_ENOUGH = 1 << 16
"""A connection whose answer is longer than this is closed instead of reused."""

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


class Sender:
    """Posts over kept-alive connections; ``timeout`` in seconds, from connect to last byte."""

    def __init__(self, timeout: float, clock: Clock) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool; callers bound the requests in flight, not the pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            headers=_HEADERS,
            skip_auto_headers=("Accept", "Accept-Encoding"),
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def send(
        self, url: URL, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Outcome:
        """Post ``body``; never raises for what a receiver or the network may do."""
        assert self._session is not None
        status = 0
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
                wish = wish_of(response.headers.get("Retry-After"), self._clock.now())
                await _drain(response)
                return Outcome(status=status, wish=wish)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Outcome(status=status, error=f"{type(error).__name__}: {error}"[:200])


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the answer so that its connection can be used again; nobody looks at it."""
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _ENOUGH:
            response.close()
            return
