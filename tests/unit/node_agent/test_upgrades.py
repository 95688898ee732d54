"""What an agent does when it shall become another version."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.nodes import AgentNotUpgraded, UpgradeAgent
from contracts.vms import VmGone
from tests.agent_world import NODE, AgentWorld
from tests.clock import START
from tests.waiting import until


def order(seconds: float = 60, **fields: Any) -> UpgradeAgent:
    deadline = START + timedelta(seconds=seconds)
    return UpgradeAgent(**{"node_id": NODE, "deadline": deadline, "version": "0.2.0"} | fields)


def a_program(folder: Path, *lines: str) -> str:
    program = folder / "upgrade"
    program.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    program.chmod(0o700)
    return str(program)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A program that reads of it waits until something is written to it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    return gate


async def open_(gate: Path) -> None:
    """Let the program that waits, or soon will, go on."""
    await asyncio.to_thread(gate.write_text, "\n")


async def test_without_a_program_it_says_so(world: AgentWorld):
    await world.start()
    await world.order(order())
    refused = await world.heard(AgentNotUpgraded)
    assert (refused.node_id, refused.version) == (NODE, "0.2.0")
    assert refused.error == "this agent is upgraded by its package manager"


async def test_the_program_is_told_the_version_and_silence_is_success(
    world: AgentWorld, tmp_path: Path
):
    done = tmp_path / "done"
    await world.start(upgrade_program=a_program(tmp_path, f'echo "$1" > {done}'))
    await world.order(order())
    await until(lambda: done.exists() and done.read_text() == "0.2.0\n")
    assert world.said(AgentNotUpgraded) == []


async def test_a_program_that_fails_explains_itself(world: AgentWorld, tmp_path: Path):
    program = a_program(tmp_path, 'echo "bad signature" >&2', "exit 3")
    await world.start(upgrade_program=program)
    await world.order(order())
    assert (await world.heard(AgentNotUpgraded)).error == "bad signature"


async def test_a_program_that_is_not_there_is_named(world: AgentWorld, tmp_path: Path):
    await world.start(upgrade_program=str(tmp_path / "nothing"))
    await world.order(order())
    assert "nothing: No such file" in (await world.heard(AgentNotUpgraded)).error


async def test_it_runs_once_at_a_time_and_never_late(world: AgentWorld, tmp_path: Path, gate: Path):
    runs = tmp_path / "runs"
    await world.start(upgrade_program=a_program(tmp_path, f"echo x >> {runs}", f"read _ < {gate}"))
    await world.order(order(seconds=-1))
    await world.order(order())
    await until(lambda: runs.exists() and runs.read_text())
    await world.order(order(), world.stop_vm())
    await world.heard(VmGone)  # so the order before it was heard as well
    await open_(gate)
    await until(world.agent.nodes[NODE].upgrades._running.done)
    assert runs.read_text() == "x\n"


@pytest.mark.parametrize("ends", ["stop", "kill"])
async def test_the_program_outlives_the_agent_that_it_ends(
    world: AgentWorld, tmp_path: Path, gate: Path, ends: str
):
    begun, done = tmp_path / "begun", tmp_path / "done"
    program = a_program(
        tmp_path, f"touch {begun}", f"read _ < {gate}", "echo installed", f"touch {done}"
    )
    await world.start(upgrade_program=program)
    await world.order(order())
    await until(begun.exists)
    await getattr(world, ends)()
    await open_(gate)
    await until(done.exists)
