"""HTTP byte by byte, for what client libraries would not send."""

import asyncio

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
        lines = head.strip().replace("\n", "\r\n")
        length = f"\r\nContent-Length: {len(body)}" if body else ""
        self._writer.write(f"{lines}{length}\r\n\r\n".encode(charset) + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
        return answer, await self._reader.readexactly(size)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()
