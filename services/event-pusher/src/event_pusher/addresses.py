"""From a host's name to addresses that may be connected to."""

import asyncio
import functools
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from event_pusher.domain.networks import Network, permitted

_THREADS = 32

SocketAddress: TypeAlias = tuple[Any, ...]


class Forbidden(ConnectionError):
    """The address is not one that webhooks may reach"""


class Addresses:
    """Looks names up in threads of its own, each name once at a time.

    A name whose server does not answer holds up its own receivers, and others only when as many
    names as there are threads do so at a time.
    """

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="addresses")
        self._lookups: dict[tuple[str, int], asyncio.Task[list[SocketAddress]]] = {}

    async def of(self, host: str, port: int, *, guarded: bool) -> list[SocketAddress]:
        """Where to connect, best first. OSError when there is no such host; Forbidden.

        What was checked is what is connected to: the name is not asked for again.
        """
        key = host, port
        if key not in self._lookups:
            self._lookups[key] = lookup = asyncio.create_task(self._look_up(host, port))
            lookup.add_done_callback(functools.partial(self._looked_up, key))
        found = await asyncio.shield(self._lookups[key])
        if not guarded:
            return found
        good = [address for address in found if permitted(address[0], self._allowed)]
        if not good:
            raise Forbidden(Forbidden.__doc__)
        return good

    async def start(self) -> None:
        """See Part; threads are made when they are needed."""

    async def stop(self) -> None:
        """Wait for no name server."""
        for lookup in list(self._lookups.values()):
            lookup.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, port: int) -> list[SocketAddress]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [address for *_, address in found]

    def _looked_up(self, key: tuple[str, int], lookup: asyncio.Task[list[SocketAddress]]) -> None:
        del self._lookups[key]
        if not lookup.cancelled():
            lookup.exception()  # everybody who asked may have given up by now
