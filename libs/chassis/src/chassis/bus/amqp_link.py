"""One supervised connection to the broker, and the channels on it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias, cast

import msgspec
import structlog
from aiormq.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError

from chassis.bus.amqp_receiver import Receiver
from chassis.bus.amqp_tap import Tap
from chassis.clock import Clock

PAUSE, LONGEST_PAUSE = 0.2, 2.0
CALL_LIMIT = 30.0
_CLOSE_LIMIT = 3.0

BROKEN = (AMQPError, ConnectionError, OSError, TimeoutError, RuntimeError)
"""What a call raises when its connection or channel is lost (aiormq says RuntimeError as well)."""

_log = structlog.get_logger()


class Opened(msgspec.Struct, frozen=True):
    """A plain connection, the tap in it, and how to close it."""

    connection: AbstractConnection
    tap: Tap
    close: Callable[[], Awaitable[None]]

    async def channel(self, *, confirms: bool = False) -> Channel:
        """A new channel."""
        channel = await self.connection.channel(publisher_confirms=confirms, timeout=CALL_LIMIT)
        return cast(Channel, channel)

    @asynccontextmanager
    async def short_channel(self) -> AsyncIterator[Channel]:
        """A new channel for one purpose; what is refused closes it as well."""
        channel = await self.channel()
        try:
            yield channel
        finally:
            if not channel.is_closed:
                await channel.close()


Connect: TypeAlias = Callable[[], Awaitable[Opened]]


class Link:
    """Keeps one connection open, for ever; ``prepare`` runs on each new one before others use it.

    Shared channels are kept by name and made anew when closed.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        connect: Connect,
        prepare: Callable[[Opened], Awaitable[None]],
    ) -> None:
        self._name = name
        self._clock = clock
        self._connect = connect
        self._prepare = prepare
        self._opened: Opened | None = None
        self._up = asyncio.Event()
        self._tried = asyncio.Event()
        self._dropped = asyncio.Event()
        self._channels: dict[str, Channel] = {}
        self._receivers: dict[str, Receiver] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.create_task(self._run(), name=f"bus:{self._name}")

    async def stop(self) -> None:
        """Close for good."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def drop(self) -> None:
        """Give the connection up; another one is made."""
        self._dropped.set()

    @property
    def is_up(self) -> bool:
        """Whether the connection is open right now."""
        return self._up.is_set()

    async def tried(self) -> bool:
        """Whether it is open, once the first attempt has ended."""
        if self._task is None:
            return False
        await self._tried.wait()
        return self._up.is_set()

    async def opened(self) -> Opened:
        """The open connection, waiting for it."""
        while True:
            await self._up.wait()
            if self._opened is not None and not self._opened.connection.is_closed:
                return self._opened
            self._up.clear()

    async def channel(self, name: str) -> Channel:
        """The shared channel of that name, waiting for the connection."""
        async with self._opening.setdefault(name, asyncio.Lock()):
            known = self._channels.get(name)
            if known is None or known.is_closed:
                opened = await self.opened()
                known = self._channels[name] = await opened.channel()
            return known

    async def receiver(self, name: str) -> Receiver:
        """The receiver on the shared channel of that name, waiting for the connection."""
        channel = await self.channel(name)
        known = self._receivers.get(name)
        if known is None or known.channel is not channel:
            known = self._receivers[name] = Receiver(channel, (await self.opened()).tap)
        return known

    async def new_receiver(self) -> Receiver:
        """A receiver on a channel of its own, waiting for the connection."""
        opened = await self.opened()
        return Receiver(await opened.channel(), opened.tap)

    async def _run(self) -> None:
        pause = PAUSE
        while True:
            try:
                await self._once()
                pause = PAUSE
            except BROKEN as error:
                _log.warning("bus.not_connected", link=self._name, error=_brief(error))
            except Exception:
                _log.exception("bus.link_failed", link=self._name)
            self._tried.set()
            await self._clock.sleep(random.uniform(pause / 2, pause))  # noqa: S311 -- jitter
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _once(self) -> None:
        """Connect and return when the connection is lost."""
        opened = await self._connect()
        self._dropped.clear()
        opened.connection.closing.add_done_callback(lambda _: self._dropped.set())
        try:
            await self._prepare(opened)
            self._opened = opened
            self._up.set()
            self._tried.set()
            _log.info("bus.connected", link=self._name)
            await self._dropped.wait()
            _log.warning("bus.connection_lost", link=self._name)
        finally:
            self._opened = None
            self._up.clear()
            self._channels.clear()
            self._receivers.clear()
            with suppress(*BROKEN):
                await asyncio.wait_for(opened.close(), _CLOSE_LIMIT)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
