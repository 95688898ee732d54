"""Lines of JSON over a Unix socket: what the monitor and the guest agent of QEMU both speak."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from node_agent.drivers.port import HostFault

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; the guest agent sends a script's output as one line."""


class NoAnswer(HostFault):
    """The other end is not there, went away, or did not answer in time."""


class Channel:
    """One connection. Every call is bounded by the ``timeout`` that it was opened with."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, message: Any, *, prefix: bytes = b"") -> None:
        """Write one message."""
        self._writer.write(prefix + msgspec.json.encode(message) + b"\n")
        await self._writer.drain()

    async def send_file(self, message: Any, descriptor: int) -> None:
        """Write one message, and have the other end own a copy of the open file as well."""
        await self._writer.drain()
        connection = self._writer.get_extra_info("socket")
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            socket.send_fds(same, [msgspec.json.encode(message) + b"\n"], [descriptor])

    async def receive(self) -> dict[str, Any]:
        """The next message; bytes before it that are no JSON belong to an older conversation."""
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise NoAnswer("QEMU closed the connection")
            with contextlib.suppress(msgspec.DecodeError):
                message = msgspec.json.decode(line.rpartition(b"\xff")[2])
                if isinstance(message, dict):
                    return message


@contextlib.asynccontextmanager
async def connected(socket: Path, timeout: float) -> AsyncIterator[Channel]:
    """A connection that lasts ``timeout`` seconds at most; NoAnswer names what went wrong.

    The folder is opened first and the socket reached through it, because the address of a socket
    has 107 bytes and a folder's path may have more.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            with _short(socket) as address:
                reader, writer = await asyncio.open_unix_connection(address, limit=LONGEST_LINE)
            yield Channel(reader, writer)
    except TimeoutError:
        raise NoAnswer(f"no answer on {socket.name} in {timeout:g} s") from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{socket.name}: {error}") from error
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.contextmanager
def _short(socket: Path) -> Iterator[str]:
    folder = os.open(socket.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)
