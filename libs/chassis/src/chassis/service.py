"""A service: parts that start in order and stop in reverse, until a signal comes."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog
import uvloop

from chassis import telemetry, tracing
from chassis.bus.port import Bus
from chassis.clock import Clock
from chassis.config import BadSettings, S, load, printable
from chassis.errors import Unavailable
from chassis.store.mongo import MongoStore
from chassis.store.port import Store
from chassis.web import Health

_FILES = 65_536
_log = structlog.get_logger()


class Part(Protocol):
    """Anything with a life: a server, a dispatcher, a loop."""

    async def start(self) -> None:
        """Begin; raise when that is impossible."""
        ...

    async def stop(self) -> None:
        """Finish what is begun, then end."""
        ...


class Loop:
    """Calls ``step`` every ``seconds``; a failing step is logged and the loop goes on."""

    def __init__(
        self, name: str, seconds: float, step: Callable[[], Awaitable[None]], clock: Clock
    ) -> None:
        self.name = name
        self._seconds = seconds
        self._step = step
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See Part."""
        self._task = asyncio.create_task(self._run(), name=f"loop:{self.name}")

    async def stop(self) -> None:
        """See Part."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(self._seconds)
            try:
                await self._step()
            except Unavailable as error:
                _log.warning("loop.unavailable", loop=self.name, error=str(error))
            except Exception:
                _log.exception("loop.failed", loop=self.name)


class Service:
    """A named set of parts with one health."""

    def __init__(self, name: str, parts: Sequence[Part], health: Health) -> None:
        self.name = name
        self.health = health
        self._parts = list(parts)
        self._running: list[Part] = []

    async def start(self) -> None:
        """Start every part in order; on failure stop those that run and raise."""
        try:
            for part in self._parts:
                await part.start()
                self._running.append(part)
        except BaseException:
            await self.stop()
            raise
        _log.info("service.started", service=self.name)

    async def stop(self) -> None:
        """Say not ready, then stop the parts in reverse."""
        self.health.draining = True
        while self._running:
            part = self._running.pop()
            try:
                await part.stop()
            except Exception:
                _log.exception("service.part_failed_to_stop", part=type(part).__name__)
        _log.info("service.stopped", service=self.name)


async def until_signal() -> None:
    """Return at the first SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


Build = Callable[[S, Bus, Store], Service]


def calm_the_collector() -> None:
    """Look for cycles rarely.

    What a message leaves behind forms none, and a collector's pause is longer than a decision.
    """
    gc.set_threshold(50_000, 20, 100)


def allow_connections() -> None:
    """Open as many files as the system lets us: each idle client holds one.

    Bounded, because some programs that we start close every number up to the limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(name: str, kind: type[S], build: Build[S], bus_of: Callable[[S], Bus]) -> None:
    """Run one service as a process: settings, adapters, signals; bad settings end it."""
    try:
        settings = load(kind, os.environ)
    except (BadSettings, OSError) as error:
        sys.exit(f"{name}: {error}")
    if "--print-config" in sys.argv[1:]:
        sys.stdout.write(printable(settings))
        return
    telemetry.configure(name, settings.log_level)
    calm_the_collector()
    allow_connections()
    try:
        with tracing.exporting(name, settings.otlp_endpoint):
            uvloop.run(_serve(settings, build, bus_of(settings)))
    except BadSettings as error:
        sys.exit(f"{name}: {error}")


async def _serve(settings: S, build: Build[S], bus: Bus) -> None:
    store = MongoStore(settings.mongodb_url, settings.mongodb_database)
    service = build(settings, bus, store)
    await bus.start()
    try:
        await service.start()
        await until_signal()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(service.stop(), settings.drain_seconds)
    finally:
        await bus.stop()
        await store.stop()
