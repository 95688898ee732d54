"""Runs a program to its end: with a time limit, and with nothing of it left when given up."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from node_agent.drivers.port import HostFault

KILL_GRACE = 5.0
"""Seconds that a killed program may take to be gone."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A program that has ended; ``code`` is negative when a signal ended it."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def complaint(self) -> str:
        """What it said went wrong, on one line."""
        said = (self.stderr.strip() or self.stdout.strip()).decode(errors="replace")
        return " ".join(said.split()) or f"exit code {self.code}"


async def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: bytes = b"",
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Finished:
    """Run ``argv`` and return how it ended, whatever its exit code.

    ``environ`` is added to the agent's own environment. The program leads a process group of its
    own, which is killed on time-out and when the caller is cancelled.
    Raises HostFault when it cannot be started or does not end in ``timeout`` seconds.
    """
    program = Path(argv[0]).name
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **environ} if environ else None,
            start_new_session=True,
        )
    except OSError as error:
        raise HostFault(f"{program} cannot be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await process.communicate(stdin)
    except TimeoutError:
        await _kill_group(process)
        raise HostFault(f"{program} did not end in {timeout:g} s") from None
    except BaseException:
        await _kill_group(process)
        raise
    assert process.returncode is not None
    return Finished(code=process.returncode, stdout=stdout, stderr=stderr)


async def checked(argv: Sequence[str | Path], *, timeout: float) -> bytes:
    """The standard output of a program that must succeed; HostFault says what it complained of."""
    finished = await run(argv, timeout=timeout)
    if finished.code:
        raise HostFault(f"{Path(argv[0]).name}: {finished.complaint}")
    return finished.stdout


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    """End what is left of the group; the leader may be gone while a child is not."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILL_GRACE):
            await process.wait()
