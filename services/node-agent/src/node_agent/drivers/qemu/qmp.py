"""QEMU's monitor (QMP). Source: QEMU Machine Protocol specification.

Each call is a connection of its own: the monitor serves one client at a time, and whoever looks
after a host by hand must get in as well. What a client that went away had still asked is answered
to the next one, so every command has an id, and other answers are not ours.
"""

import contextlib
import secrets
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

    id: str
    execute: str
    arguments: dict[str, Any] = {}


class Monitor:
    """One conversation. HostFault when a command is refused, NoAnswer when QEMU is silent."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def run(self, name: str, /, **arguments: Any) -> Any:
        """What the command returned."""
        command = _command(name, {key.replace("_", "-"): arguments[key] for key in arguments})
        await self._channel.send(command)
        return await self._answer(command)

    async def lend(self, name: str, descriptor: int) -> None:
        """Have QEMU know an open file by a name."""
        command = _command("getfd", {"fdname": name})
        await self._channel.send_file(command, descriptor)
        await self._answer(command)

    async def greeted(self) -> None:
        """The monitor is ours from here on."""
        while "QMP" not in await self._channel.receive():
            pass

    async def _answer(self, command: _Command) -> Any:
        while True:
            answer = await self._channel.receive()
            if answer.get("id") != command.id:
                continue
            if "error" in answer:
                reason = answer["error"].get("desc", "")
                raise HostFault(f"QEMU refused {command.execute}: {reason}")
            return answer["return"]


def _command(name: str, arguments: dict[str, Any]) -> _Command:
    return _Command(secrets.token_hex(8), name, arguments)


@contextlib.asynccontextmanager
async def monitor(folder: Path, timeout: float = TIMEOUT) -> AsyncIterator[Monitor]:
    """A conversation with the QEMU of a folder, ``timeout`` seconds long at most."""
    async with connected(folder / SOCKET, timeout) as channel:
        found = Monitor(channel)
        await found.greeted()
        await found.run("qmp_capabilities")
        yield found
