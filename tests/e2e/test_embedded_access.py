"""The all-in-one with authentication on: everything it does itself has the token, nobody else."""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.all_in_one import AllInOne, all_in_one
from tests.tap import ROOT_TOKEN
from tests.waiting import until

CORRAL = Path(sys.executable).parent / "corral"


async def corral(cloud: AllInOne, *arguments: str, token: str = ROOT_TOKEN) -> tuple[int, str]:
    """Exit status and output of the command."""
    process = await asyncio.create_subprocess_exec(
        *(CORRAL, *arguments, "--controller", cloud.address),
        env=os.environ | {"CORRAL_ROOT_TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def is_started(cloud: AllInOne, instance: str) -> bool:
    code, said = await corral(cloud, "vm", "show", instance)
    assert code == 0, said
    return '"Started"' in said


@pytest.mark.timeout(120)
async def test_a_vm_from_the_demo_template_to_nothing_left(tmp_path: Path):
    settings = {
        "enable_auth": True,
        "enable_controller_authorization": True,
        "enable_registry_authorization": True,
        "root_token": ROOT_TOKEN,
        "central_logging": True,
        "driver": "simulated",
    }
    async with all_in_one(tmp_path / "data", **settings) as cloud:
        await cloud.start()
        for port, path in (("LISTEN", "api/v1/status"), ("REGISTRY", "v2/")):
            url = f"http://127.0.0.1:{cloud.env[f'CORRAL_{port}_PORT']}/{path}"
            async with aiohttp.request("GET", url) as answer:
                assert answer.status == 401
        assert "Authentication Required" in (await corral(cloud, "vm", "list", token=""))[1]
        code, said = await corral(cloud, "vm", "start", "demo-simulated")
        assert code == 0, said
        await until(lambda: is_started(cloud, said.strip()), 20)
        assert said.strip() in (await corral(cloud, "vm", "list", "--json"))[1]
        assert ROOT_TOKEN not in cloud.output
        await cloud.stop()
        assert "nothing of" in await cloud.end()
