"""A receiver of webhooks that costs next to nothing: `python -m tests.bench.sink PORT`.

It answers 200 to every POST and prints how many came when it is told to end.
"""

import asyncio
import signal
import sys
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = b"content-length:"


class Sink(asyncio.Protocol):
    """One kept-alive connection; bodies need a Content-Length."""

    requests = 0

    def __init__(self) -> None:
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n") + 4) > 3:
            request = self._waiting[:end]
            head = request.lower()
            start = head.find(_LENGTH) + len(_LENGTH)
            size = int(head[start : head.find(b"\r", start)])
            if len(self._waiting) < end + size:
                return
            body = self._waiting[end : end + size]
            self._waiting = self._waiting[end + size :]
            self.take(request, body)

    def take(self, _head: bytes, _body: bytes) -> None:
        """One whole request."""
        Sink.requests += 1
        self._transport.write(ANSWER)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(Sink, "127.0.0.1", port, backlog=1024)
    await stop.wait()
    server.close()
    sys.stdout.write(f"{Sink.requests}\n")


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
