"""Programs run to their end, and nothing of them stays when they are given up."""

import asyncio
import os
from pathlib import Path

import pytest

from node_agent.drivers.command import checked, run
from node_agent.drivers.port import HostFault
from tests.waiting import until


def gone(pid: int) -> bool:
    """Whether the process ended; its parent may not have taken note yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_both_streams_and_the_exit_code_come_back() -> None:
    finished = await run(["sh", "-c", "cat; echo err >&2; exit 3"], timeout=10, stdin=b"in")
    assert (finished.code, finished.stdout, finished.stderr) == (3, b"in", b"err\n")
    assert finished.complaint == "err"


async def test_what_is_added_to_the_environment_and_the_folder_count(tmp_path: Path) -> None:
    finished = await run(
        ["sh", "-c", "echo $WORD $PATH; pwd"], timeout=10, cwd=tmp_path, environ={"WORD": "x"}
    )
    assert finished.stdout.decode() == f"x {os.environ['PATH']}\n{tmp_path}\n"


async def test_at_the_limit_the_program_and_its_children_are_killed(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(HostFault, match=r"sh did not end in 0\.5 s"):
        await run(["sh", "-c", script], timeout=0.5)
    child = int((tmp_path / "child").read_text())
    await until(lambda: gone(child))


async def test_a_child_that_keeps_the_output_open_does_not_outlive_the_limit(
    tmp_path: Path,
) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/child"
    with pytest.raises(HostFault):
        await run(["sh", "-c", script], timeout=0.5)
    child = int((tmp_path / "child").read_text())
    await until(lambda: gone(child))


async def test_a_cancelled_caller_leaves_no_program(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    running = asyncio.create_task(run(["sh", "-c", f"echo $$ > {pid_file}; sleep 60"], timeout=60))
    await until(lambda: pid_file.exists() and pid_file.read_text().strip())
    running.cancel()
    await asyncio.wait([running])
    pid = int(pid_file.read_text())
    await until(lambda: gone(pid))


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(HostFault, match="no-such-program cannot be started: No such file"):
        await run(["/nowhere/no-such-program"], timeout=1)


async def test_a_program_that_must_succeed_says_why_it_did_not() -> None:
    assert await checked(["echo", "fine"], timeout=10) == b"fine\n"
    with pytest.raises(HostFault, match="sh: no such luck"):
        await checked(["sh", "-c", "echo no such luck >&2; exit 1"], timeout=10)
