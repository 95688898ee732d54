"""The monitor of QEMU answers whoever is connected, also what an earlier client had asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node_agent.drivers.port import HostFault
from node_agent.drivers.qemu import qmp

STALE = {"return": {"of": "another client"}, "id": "another"}
GREETING = {"QMP": {"version": {}, "capabilities": []}}


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """With a monitor that has answers of an earlier conversation to give."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for message in (STALE, GREETING, STALE):
            writer.write(json.dumps(message).encode() + b"\n")
        while line := await reader.readline():
            asked = json.loads(line)
            outcome = "error" if asked["execute"] == "refused" else "return"
            answer = {outcome: {"desc": asked["execute"]}, "id": asked["id"]}
            event = {"event": "STOP", "data": {}}
            for message in (STALE, event, answer):
                writer.write(json.dumps(message).encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / qmp.SOCKET)
    yield tmp_path
    server.close()


async def test_only_the_answer_to_the_command_counts(folder: Path):
    async with qmp.monitor(folder) as monitor:
        assert await monitor.run("query-status") == {"desc": "query-status"}
        assert await monitor.run("cont") == {"desc": "cont"}


async def test_a_refused_command_is_named_with_the_reason(folder: Path):
    async with qmp.monitor(folder) as monitor:
        with pytest.raises(HostFault, match="QEMU refused refused: refused"):
            await monitor.run("refused")
