"""A load generator that costs next to nothing, over kept-alive connections.

`python -m tests.bench.http_load --url U [--url U2] [--body JSON] --count N [--rate R]`
POSTs the body to each URL in turn, or without one GETs them; `--urls FILE` has one per line. It
prints one JSON object: when it began and ended (epoch seconds), the answers' latencies and a
sample of whatever was not the envelope's OK. With --rate the requests start at that pace
whatever the answers do (beyond ``connections`` in flight they wait, and the wait counts).
"""

import argparse
import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

_LENGTH = b"content-length:"
_OK = b'"status":"OK"'
_BEGIN = 100


class Connection(asyncio.Protocol):
    """One kept-alive connection, one request at a time; answers need a Content-Length."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._head = self._size = 0
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        if not self._size:
            self._head = self._waiting.find(b"\r\n\r\n") + 4
            if self._head < 4:
                return
            head = self._waiting[: self._head].lower()
            start = head.find(_LENGTH) + len(_LENGTH)
            self._size = self._head + int(head[start : head.find(b"\r", start)])
        if len(self._waiting) >= self._size and self._answer is not None:
            body = bytes(self._waiting[self._head : self._size])
            del self._waiting[: self._size]
            self._size = 0
            self._answer.set_result(body)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("closed by the server"))

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        """Send; the future is the answer's body."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer


class Load(msgspec.Struct):
    """What is sent, and what came of it. Without a ``body`` the requests are GETs."""

    urls: Sequence[str]
    body: bytes
    count: int
    connections: int
    rate: float = 0.0
    sent: int = 0
    latencies: list[float] = []
    wrong: list[str] = []

    async def run(self) -> dict[str, object]:
        """Send everything; the report."""
        requests: defaultdict[str, list[bytes]] = defaultdict(list)
        for url in self.urls:
            requests[urlsplit(url).netloc].append(self._request(url))
        began_at, began = time.time(), time.perf_counter()
        hosts = itertools.islice(itertools.cycle(requests.items()), self.connections)
        await asyncio.gather(*[self._connection(host, ours, began) for host, ours in hosts])
        seconds = time.perf_counter() - began
        return {
            "began": began_at,
            "seconds": round(seconds, 3),
            "per_second": round(self.count / seconds, 1),
            "latency_ms": percentiles(self.latencies),
            "not_ok": len(self.wrong),
            "sample": self.wrong[:3],
        }

    def _request(self, address: str) -> bytes:
        url = urlsplit(address)
        target = f"{url.path}?{url.query}" if url.query else url.path
        if not self.body:
            return f"GET {target} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
        return (
            f"POST {target} HTTP/1.1\r\nHost: {url.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        ).encode() + self.body

    async def _connection(self, host: str, requests: Sequence[bytes], began: float) -> None:
        loop = asyncio.get_running_loop()
        name, _, port = host.rpartition(":")
        _, connection = await loop.create_connection(Connection, name, int(port))
        while self.sent < self.count:
            due = began + self.sent / self.rate if self.rate else time.perf_counter()
            self.sent += 1
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            answer = await connection.ask(requests[self.sent % len(requests)])
            self.latencies.append(time.perf_counter() - due)
            if _OK not in answer[:_BEGIN]:
                self.wrong.append(answer[:200].decode(errors="replace"))


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the worst, in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    picks = {f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 90, 99)}
    return {name: round(value * 1000, 2) for name, value in (picks | {"max": ordered[-1]}).items()}


def main() -> None:
    """Send, then print the report as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", action="append", default=[])
    parser.add_argument("--urls", help="a file with more of them")
    parser.add_argument("--body", default="")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.0)
    given = parser.parse_args()
    urls = given.url + (Path(given.urls).read_text().split() if given.urls else [])
    load = Load(urls, given.body.encode(), given.count, given.connections, given.rate)
    print(msgspec.json.encode(uvloop.run(load.run())).decode())


if __name__ == "__main__":
    main()
