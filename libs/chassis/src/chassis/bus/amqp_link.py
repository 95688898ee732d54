"""One supervised connection to the broker, and the channels on it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias, cast

import structlog
from aiormq.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError

from chassis.clock import Clock

PAUSE, LONGEST_PAUSE = 0.2, 2.0
CALL_LIMIT = 30.0
_CLOSE_LIMIT = 3.0

BROKEN = (AMQPError, ConnectionError, OSError, TimeoutError, RuntimeError)
"""What a call raises when its connection or channel is lost (aiormq says RuntimeError as well)."""

_log = structlog.get_logger()

Close: TypeAlias = Callable[[], Awaitable[None]]
Connect: TypeAlias = Callable[[], Awaitable[tuple[AbstractConnection, Close]]]
"""Makes a plain connection; how to close it comes with it."""


class Link:
    """Keeps one connection open, for ever; ``prepare`` runs on each new one before others use it.

    Channels are kept by name and made anew when closed.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        connect: Connect,
        prepare: Callable[[AbstractConnection], Awaitable[None]],
    ) -> None:
        self._name = name
        self._clock = clock
        self._connect = connect
        self._prepare = prepare
        self._connection: AbstractConnection | None = None
        self._up = asyncio.Event()
        self._dropped = asyncio.Event()
        self._channels: dict[str, Channel] = {}
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

    async def connection(self) -> AbstractConnection:
        """The open connection, waiting for it."""
        while True:
            await self._up.wait()
            if self._connection is not None and not self._connection.is_closed:
                return self._connection
            self._up.clear()

    async def new_channel(self) -> Channel:
        """One more channel, without confirms, on the open connection, waiting for it."""
        return await open_channel(await self.connection())

    async def channel(self, name: str) -> Channel:
        """The shared channel of that name on the open connection, waiting for it."""
        async with self._opening.setdefault(name, asyncio.Lock()):
            connection = await self.connection()
            known = self._channels.get(name)
            if known is None or known.is_closed or known.connection is not connection:
                known = self._channels[name] = await open_channel(connection)
            return known

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
            await self._clock.sleep(random.uniform(pause / 2, pause))  # noqa: S311 -- jitter
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _once(self) -> None:
        """Connect and return when the connection is lost."""
        connection, close = await self._connect()
        self._dropped.clear()
        connection.closing.add_done_callback(lambda _: self._dropped.set())
        try:
            await self._prepare(connection)
            self._connection = connection
            self._up.set()
            _log.info("bus.connected", link=self._name)
            await self._dropped.wait()
            _log.warning("bus.connection_lost", link=self._name)
        finally:
            self._connection = None
            self._up.clear()
            self._channels.clear()
            with suppress(*BROKEN):
                await asyncio.wait_for(close(), _CLOSE_LIMIT)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


async def open_channel(connection: AbstractConnection, *, confirms: bool = False) -> Channel:
    """A new channel; with ``confirms`` a message that reaches no queue raises PublishError."""
    channel = await connection.channel(
        publisher_confirms=confirms, on_return_raises=True, timeout=CALL_LIMIT
    )
    return cast(Channel, channel)
