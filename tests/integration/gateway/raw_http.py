"""HTTP byte by byte, for what client libraries would not send."""

import asyncio
import contextlib

from tests.integration.gateway.cloud import Api


class Raw:
    """One TCP connection to a gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, api: Api) -> "Raw":
        host, _, port = api.gateway.address.removeprefix("http://").rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def ask(self, head: str, body: bytes = b"", charset: str = "utf-8") -> tuple[str, bytes]:
        """The answer's head and body; ``head`` has lines ending in ``\\n``."""
        self.send(head, body, charset)
        return await self.answer()

    def send(self, head: str, body: bytes = b"", charset: str = "utf-8") -> None:
        """One request; its length is told unless ``head`` does."""
        lines = head.strip().replace("\n", "\r\n")
        told = not body or "Content-Length" in head
        length = "" if told else f"\r\nContent-Length: {len(body)}"
        self.send_bytes(f"{lines}{length}\r\n\r\n".encode(charset) + body)

    def send_bytes(self, raw: bytes) -> None:
        """Whatever it is."""
        self._writer.write(raw)

    async def answer(self) -> tuple[str, bytes]:
        """The next answer's head and body."""
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
        return answer, await self._reader.readexactly(size)

    async def line(self) -> bytes:
        """The next line, its end included."""
        return await self._reader.readline()

    async def rest(self) -> bytes:
        """All until the gateway closes."""
        return await self._reader.read()

    def is_closed(self) -> bool:
        """Whether the gateway has closed it, and everything it said is read."""
        return self._reader.at_eof()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
