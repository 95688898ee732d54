"""QEMU's monitor (QMP). Source: QEMU Machine Protocol specification.

Each call is a connection of its own: the monitor serves one client at a time, and whoever looks
after a host by hand must get in as well.
"""

from pathlib import Path
from typing import Any

import msgspec

from node_agent.drivers.port import HostFault
from node_agent.drivers.qemu.channel import Channel, connected

SOCKET = "qmp.sock"
TIMEOUT = 10.0


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """One command of the monitor, with its arguments."""

    execute: str
    arguments: dict[str, Any] = {}


async def execute(folder: Path, *commands: Command, timeout: float = TIMEOUT) -> list[Any]:
    """What the commands returned, in order. HostFault when one is refused, NoAnswer else."""
    async with connected(folder / SOCKET, timeout) as channel:
        await channel.receive()
        await _one(channel, Command("qmp_capabilities"))
        return [await _one(channel, command) for command in commands]


async def _one(channel: Channel, command: Command) -> Any:
    await channel.send(command)
    while True:
        answer = await channel.receive()
        if "error" in answer:
            raise HostFault(f"QEMU refused {command.execute}: {answer['error'].get('desc', '')}")
        if "return" in answer:
            return answer["return"]
