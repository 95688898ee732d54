"""Child processes that never outlive us, and the ports they listen on."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from chassis.errors import CorralError

_PORTS = range(20_000, 32_000)
_POLL = 0.01

# Leads the group and waits for the end of its standard input, which only our death brings: then
# it ends the group, gently at first. The kernel closes the pipe however we die.
_GUARD = """
trap '' TERM INT HUP
read -r _
kill -TERM 0
i=0
while [ $i -lt 50 ] && kill -0 "$(cat "$1")" 2>/dev/null; do sleep 0.2; i=$((i + 1)); done
kill -KILL 0
"""


class MissingServer(CorralError):
    """A server program is missing"""


class ServerFailed(CorralError):
    """A server did not start"""


class Group:
    """A process group led by a guard that ends it when this process is gone, even by SIGKILL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard: subprocess.Popen[bytes] | None = None
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int | None:
        """The process id of the main child, the one spawned last, while it runs."""
        main = self._children[-1] if self._children else None
        return main.pid if main is not None and main.poll() is None else None

    def spawn(self, argv: Sequence[str | Path], env: Mapping[str, str], log: Path) -> None:
        """Start a member; its output goes to ``log``."""
        if self._guard is None:
            self._guard = subprocess.Popen(  # noqa: S603 -- our own script
                ["/bin/sh", "-c", _GUARD, "guard", str(self._folder / "pid")],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        with log.open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 -- programs of our own choice
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=self._folder,
                process_group=self._guard.pid,
            )
        self._children.append(child)
        (self._folder / "pid").write_text(f"{child.pid}\n")

    def kill(self) -> None:
        """End every member at once, as a crash would."""
        if self._guard is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._guard.pid, signal.SIGKILL)
        for child in (*self._children, self._guard):
            child.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard = None
        self._children.clear()

    async def stop(self, limit: float) -> None:
        """Ask the main child to end, wait up to ``limit`` seconds for it, end the rest."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + limit
        while self.pid is not None and time.monotonic() < end:  # noqa: ASYNC110 -- a process
            await asyncio.sleep(_POLL)
        self.kill()


async def until_ready(
    name: str,
    group: Group,
    logs: Sequence[Path],
    limit: float,
    ready: Callable[[], Awaitable[bool]],
) -> None:
    """Return when ``ready`` says so; ServerFailed with the logs' ends when it does not in time."""
    end = time.monotonic() + limit
    while True:
        if group.pid is None:
            raise ServerFailed(f"{name} ended while starting; {_tail(logs)}")
        if await ready():
            return
        if time.monotonic() > end:
            raise ServerFailed(f"{name} was not ready within {limit:.0f} s; {_tail(logs)}")
        await asyncio.sleep(_POLL)


def free_port() -> int:
    """A free loopback port below the range from which the kernel serves outgoing connections.

    So nobody takes it by chance while its server is down.
    """
    for _ in range(1000):
        port = random.choice(_PORTS)  # noqa: S311 -- no secret
        if is_free(port):
            return port
    raise ServerFailed("no free port on 127.0.0.1")


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _tail(logs: Sequence[Path]) -> str:
    found = [log for log in logs if log.exists() and log.stat().st_size]
    return "".join(f"end of {log}:\n{log.read_text(errors='replace')[-2000:]}" for log in found)
