"""QEMU's monitor (QMP). Source: QEMU Machine Protocol specification.

Each call is a connection of its own: the monitor serves one client at a time, and whoever looks
after a host by hand must get in as well.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from node_agent.drivers.port import HostFault
from node_agent.drivers.qemu.channel import Channel, connected

SOCKET = "qmp.sock"
TIMEOUT = 10.0


class _Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """One command of the monitor, with its arguments."""

    execute: str
    arguments: dict[str, Any] = {}


class Monitor:
    """One conversation. HostFault when a command is refused, NoAnswer when QEMU is silent."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def run(self, name: str, /, **arguments: Any) -> Any:
        """What the command returned."""
        command = _Command(name, {key.replace("_", "-"): arguments[key] for key in arguments})
        await self._channel.send(command)
        return await self._answer(name)

    async def lend(self, name: str, descriptor: int) -> None:
        """Have QEMU know an open file by a name."""
        await self._channel.send_file(_Command("getfd", {"fdname": name}), descriptor)
        await self._answer("getfd")

    async def _answer(self, name: str) -> Any:
        while True:
            answer = await self._channel.receive()
            if "error" in answer:
                raise HostFault(f"QEMU refused {name}: {answer['error'].get('desc', '')}")
            if "return" in answer:
                return answer["return"]


@contextlib.asynccontextmanager
async def monitor(folder: Path, timeout: float = TIMEOUT) -> AsyncIterator[Monitor]:
    """A conversation with the QEMU of a folder, ``timeout`` seconds long at most."""
    async with connected(folder / SOCKET, timeout) as channel:
        await channel.receive()
        found = Monitor(channel)
        await found.run("qmp_capabilities")
        yield found
