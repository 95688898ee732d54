"""Sending a service's own log lines to the registry's central logs.

Logging never waits for it: lines are queued within bounds, what does not fit is dropped and
counted. Lines about sending are not sent, so a registry that cannot be reached is no loop.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

import aiohttp
import msgspec
import structlog
from prometheus_client import Counter

from chassis import telemetry
from chassis.clock import Clock
from chassis.config import Settings
from chassis.credentials import credentials
from chassis.errors import Refused, Unavailable

CONTROLLER = "Controller"
"""The log that the services share; an agent has its own, an event-pusher's events another."""

DROPPED = Counter("corral_log_lines_dropped_total", "Log lines that were not shipped.")
SHIPPED = Counter("corral_log_lines_shipped_total", "Log lines shipped to the registry.")

_EVERY_SECONDS = 1.0
_LONGEST_PAUSE = 30.0
_FAREWELL_SECONDS = 2.0
_MOST_LINES = 10_000
_MOST_BYTES = 8 << 20
_BATCH_BYTES = 256 << 10
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_REDIRECT, _SERVER_ERROR = 300, 500
_sending: ContextVar[bool] = ContextVar("sending", default=False)
_log = structlog.get_logger()


class Destination(Protocol):
    """Where lines go."""

    async def send(self, content: str) -> None:
        """Have these lines kept. Unavailable: later; Refused: never."""
        ...

    async def close(self) -> None:
        """No more will be sent."""
        ...


class RegistryLog:
    """The log of ``service`` in the registry at ``address``."""

    def __init__(self, address: str, service: str, root_token: str = "") -> None:
        self._credentials = credentials(root_token)
        self._url = address.rstrip("/") + "/log"
        self._fields = {"machine_name": socket.gethostname(), "service": service}
        self._session: aiohttp.ClientSession | None = None

    async def send(self, content: str) -> None:
        """See Destination."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, headers=self._credentials)
        fields = self._fields | {"host": self._fields["machine_name"], "content": content}
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(
                self._url, data=msgspec.json.encode(fields), headers=headers, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"{self._url}: {error!r}") from error
        if status >= _SERVER_ERROR:
            raise Unavailable(f"{self._url} answered {status}")
        if status >= _REDIRECT:
            raise Refused(f"{self._url} answered {status}")

    async def close(self) -> None:
        """See Destination."""
        if self._session is not None:
            await self._session.close()


class LogShipping:
    """Sends lines in batches, in order. While not ``enabled`` nothing more is taken.

    With ``listens``, the lines of the service in whose log context it was started; any thread
    may log. Otherwise only what is added.
    """

    def __init__(self, destination: Destination, clock: Clock, *, listens: bool = True) -> None:
        self.enabled = True
        self._destination = destination
        self._clock = clock
        self._listens = listens
        self._service: object = None
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    async def start(self) -> None:
        """Begin."""
        self._service = structlog.contextvars.get_contextvars().get("service")
        self._task = asyncio.create_task(self._run(), name="log-shipping")
        if self._listens:
            telemetry.listen(self._hear)

    async def stop(self) -> None:
        """Try once more, for a moment."""
        telemetry.unlisten(self._hear)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        last = asyncio.create_task(self._ship_all(), name="log-shipping:last")
        await asyncio.wait([last], timeout=_FAREWELL_SECONDS)
        last.cancel()
        await asyncio.gather(last, return_exceptions=True)
        await self._destination.close()

    def add(self, line: str) -> None:
        """Queue a line, or drop it when too many wait."""
        encoded = line.encode(errors="replace")
        with self._lock:
            full = len(self._lines) >= _MOST_LINES or self._bytes + len(encoded) > _MOST_BYTES
            if not full:
                self._lines.append(encoded)
                self._bytes += len(encoded)
        if full:
            DROPPED.inc()

    def _hear(self, event: Mapping[str, Any], line: str) -> None:
        if self.enabled and event.get("service") == self._service and not _sending.get():
            self.add(line)

    async def _run(self) -> None:
        pause = _EVERY_SECONDS
        while True:
            await self._clock.sleep(pause)
            pause = _EVERY_SECONDS if await self._ship_all() else min(2 * pause, _LONGEST_PAUSE)

    async def _ship_all(self) -> bool:
        """Send what waits; False when that is not possible now."""
        _sending.set(True)
        while batch := self._batch():
            try:
                await self._destination.send(b"\n".join(batch).decode())
            except Refused as error:
                DROPPED.inc(len(batch))
                _log.warning("log_shipping.refused", error=str(error))
            except Exception as error:
                if not self._failing:
                    _log.warning("log_shipping.failing", error=str(error), exc_info=_unknown(error))
                self._failing = True
                return False
            else:
                SHIPPED.inc(len(batch))
            self._forget(batch)
        if self._failing:
            self._failing = False
            _log.info("log_shipping.resumed")
        return True

    def _batch(self) -> list[bytes]:
        """The oldest lines that go together; they wait until they are sent."""
        batch: list[bytes] = []
        size = 0
        with self._lock:
            for line in self._lines:
                size += len(line)
                if batch and size > _BATCH_BYTES:
                    break
                batch.append(line)
        return batch

    def _forget(self, batch: list[bytes]) -> None:
        with self._lock:
            for line in batch:
                self._lines.popleft()
                self._bytes -= len(line)


def shipping(settings: Settings, address: str, service: str, clock: Clock) -> list[LogShipping]:
    """The part that ships a service's lines, if the settings want it."""
    if not settings.central_logging:
        return []
    return [LogShipping(RegistryLog(address, service, settings.root_token), clock)]


def _unknown(error: Exception) -> Exception | None:
    """An error that nobody foresaw, to be logged whole."""
    return None if isinstance(error, Unavailable) else error
