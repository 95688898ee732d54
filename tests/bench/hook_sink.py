"""A receiver of webhooks that notes when each arrived: `python -m tests.bench.hook_sink PORT FILE`.

A path that begins with ``/hang`` is never answered. When told to end it writes its notes.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from tests.bench.sink import ANSWER, Sink

_ID = b"webhook-id: "
_SAMPLES = 20


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``at`` in epoch seconds."""

    path: str
    id: str
    at: float


class Sample(msgspec.Struct, frozen=True):
    """A whole request, to be verified."""

    head: str
    body: str


class Notes(msgspec.Struct):
    """What arrived, and some of it as it came."""

    arrivals: list[Arrival] = []
    samples: list[Sample] = []


NOTES = Notes()


class HookSink(Sink):
    """See Sink."""

    def take(self, head: bytes, body: bytes) -> None:
        """Note it, and answer unless it shall hang."""
        path = head[5 : head.index(b" ", 5)].decode()
        if path.startswith("/hang"):
            return
        start = head.index(_ID) + len(_ID)
        identity = head[start : head.index(b"\r", start)].decode()
        NOTES.arrivals.append(Arrival(path, identity, time.time()))
        if len(NOTES.arrivals) % 500 == 1 and len(NOTES.samples) < _SAMPLES:
            NOTES.samples.append(Sample(head.decode(), body.decode()))
        self._transport.write(ANSWER)


async def _serve(port: int, file: Path) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(HookSink, "127.0.0.1", port, backlog=1024)
    await stop.wait()
    server.close()
    part = file.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(NOTES))
    part.rename(file)


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
