"""One kept-alive HTTP/1.1 connection that posts, one request at a time.

A client of its own because of an answer only the status and its first bytes matter: it costs a
third of a general one, and deliveries are most of what an event-pusher does. Parsing is llhttp's.
"""

import asyncio
from typing import cast

import httptools
import msgspec

MOST_BODY = 1 << 16
"""A connection whose answer is longer than this is closed instead of reused."""

EXCERPT = 256
"""Bytes of an answer's body that are kept."""

_INFORMATIONAL = range(100, 200)


class Broken(ConnectionError):
    """The connection ended, or what came was no HTTP"""


class Answer(msgspec.Struct, frozen=True):
    """All that matters of a response: status, ``Retry-After``, how the body begins."""

    status: int
    retry_after: str
    excerpt: bytes


class Connection(asyncio.Protocol):
    """``untouched``: no byte of an answer to the running request has come yet."""

    def __init__(self) -> None:
        self.untouched = True
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._retry_after = ""
        self._size = 0
        self._excerpt = b""

    @property
    def usable(self) -> bool:
        """Whether another request can be posted."""
        return (
            self._answer is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    async def post(self, request: bytes) -> Answer:
        """Send a whole request, wait for the whole answer. Broken; close it after a time-out."""
        assert self.usable
        transport = cast("asyncio.Transport", self._transport)
        self._answer = asyncio.get_running_loop().create_future()
        self._status, self._retry_after, self.untouched = 0, "", True
        self._size, self._excerpt = 0, b""
        transport.write(request)
        try:
            return await self._answer
        finally:
            self._answer = None

    def close(self) -> None:
        """End it, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. What comes unasked, such as a 408, ends the connection."""
        if self._answer is None:
            self.close()
            return
        self.untouched = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Broken(f"not HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol. An answer may end with its connection."""
        if self._status:
            self._finish()
        else:
            self._fail(Broken(str(error or "closed by the receiver")))

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """See httptools."""
        status = self._parser.get_status_code()
        self._status = 0 if status in _INFORMATIONAL else status

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        if self._size < EXCERPT:
            self._excerpt += body[: EXCERPT - self._size]
        self._size += len(body)
        if self._size > MOST_BODY:
            self.close()
            self._finish()

    def on_message_complete(self) -> None:
        """See httptools."""
        if not self._status:
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._finish()

    def _finish(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._status, self._retry_after, self._excerpt))

    def _fail(self, error: Broken) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
