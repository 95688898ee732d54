"""A TCP connection with a limited rate, for what would be over too soon on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_SLICE = 0.02


@asynccontextmanager
async def slow_link(address: str, bytes_per_second: int) -> AsyncIterator[str]:
    """An address behind which ``address`` (http://host:port) answers no faster than that.

    The rate counts for each connection.
    """
    target = urlsplit(address)
    piece = max(1, int(bytes_per_second * _SLICE))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(target.hostname, target.port)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(
                _copy(reader, far_writer, 1 << 16, 0), _copy(far_reader, writer, piece, _SLICE)
            )
        except OSError:
            pass  # either side may break off at any time
        finally:
            writer.close()
            far_writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, piece: int, pause: float
) -> None:
    while data := await reader.read(piece):
        writer.write(data)
        await writer.drain()
        if pause:
            await asyncio.sleep(pause)
    with contextlib.suppress(OSError):
        writer.write_eof()
