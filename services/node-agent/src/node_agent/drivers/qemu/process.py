"""The QEMU process of one VM: begun so that it outlives the agent, found again, ended for sure."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from node_agent.drivers.port import HostFault
from node_agent.drivers.qemu.folder import LOG_FILE

PID_FILE = "pid"
GIVEN = 3
"""The number of an open file that a process was given."""

_PROGRAM = "qemu-system-"
_GONE = 10.0
_children: set[int] = set()


def spawn(folder: Path, argv: Sequence[str], given: Path | None = None) -> int:
    """Start QEMU in ``folder`` in a session of its own, its complaints in LOG_FILE.

    It can read the file ``given`` as GIVEN. No asyncio process: those are killed when the agent's
    event loop closes.
    """
    log = os.open(folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    files: list[tuple[int, ...] | tuple[int, int, str | Path, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, log, 1),
        (os.POSIX_SPAWN_DUP2, log, 2),
    ]
    if given is not None:
        files.append((os.POSIX_SPAWN_OPEN, GIVEN, given, os.O_RDONLY, 0))
    try:
        pid = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", 'cd "$0" && exec "$@"', str(folder), *argv],
            os.environ,
            file_actions=files,
            setsid=True,
        )
    finally:
        os.close(log)
    _children.add(pid)
    return pid


def complaint(folder: Path) -> str:
    """What QEMU said before it ended, on one line."""
    try:
        return " ".join((folder / LOG_FILE).read_text(errors="replace").split())
    except FileNotFoundError:
        return ""


def alive(pid: int, folder: Path) -> bool:
    """Whether ``pid`` is the QEMU of ``folder``: numbers are used again by other programs."""
    try:
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
        return (
            Path(program).name.startswith(_PROGRAM)
            and Path(f"/proc/{pid}/cwd").readlink() == folder
        )
    except OSError:
        return False


def running(folder: Path) -> int | None:
    """The process of the VM in ``folder``, as its pid file says."""
    _reap()
    try:
        pid = int((folder / PID_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if alive(pid, folder) else None


def crashed(folder: Path) -> bool:
    """Whether QEMU ended without the tidying up that it does by itself."""
    return (folder / PID_FILE).exists() and running(folder) is None


def every(folder: Path) -> list[int]:
    """Every QEMU of ``folder``, also one that had no time to write its pid file."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if alive(pid, folder)]


async def end(pid: int, *, grace: float = 0.0) -> None:
    """Ask the process to end, kill it after ``grace`` seconds, return when it is gone.

    Only then are its ports free and its disk unlocked. HostFault when it cannot be killed.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if grace:
            _signal(handle, signal.SIGTERM)
            if await _readable(handle, grace):
                return
        _signal(handle, signal.SIGKILL)
        if not await _readable(handle, _GONE):
            raise HostFault(f"QEMU (process {pid}) cannot be killed")
    finally:
        os.close(handle)
        _reap()


async def ended(pid: int, timeout: float) -> bool:
    """Whether the process is gone within ``timeout`` seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return await _readable(handle, timeout)
    finally:
        os.close(handle)
        _reap()


def _signal(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


async def _readable(handle: int, timeout: float) -> bool:
    """A process's handle can be read when all of it, its open files included, is gone."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(handle, gone.set)
    try:
        async with asyncio.timeout(timeout):
            await gone.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
    return True


def _reap() -> None:
    """Take note of ended children; other parts of this process wait for theirs themselves."""
    for pid in list(_children):
        try:
            gone, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            gone = pid
        if gone:
            _children.discard(pid)
