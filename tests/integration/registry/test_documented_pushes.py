"""The examples of docs/template-artifact.md, run as they stand there, and the client of oras."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from oras.client import OrasClient

from contracts.artifacts import CONFIG_TYPE, DISK_TYPE, Manifest
from corral.registry import repository_of_name
from tests.registries import qcow2, qcow2_over
from tests.servers import ROOT

PAGE = ROOT / "docs/template-artifact.md"
OURS = "export REGISTRY=127.0.0.1:8089\n"


def examples():
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def programs(tmp_path):
    """A PATH with ``corral`` and an ``oras`` that is the Python client."""
    folder = tmp_path / "bin"
    folder.mkdir()
    oras = folder / "oras"
    oras.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/oras_command.py" "$@"\n')
    oras.chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"


async def shell(script, folder, path):
    process = await asyncio.create_subprocess_exec(
        *("bash", "-eu", "-o", "pipefail", "-c", script),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PATH": path, "COLUMNS": "200"},
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def body_of(http, path, **query):
    async with http.get(path, params=query) as response:
        return (await response.json())["body"]


async def test_the_documented_commands_make_the_templates_that_they_say(
    registry, http, client, programs, skopeo, tmp_path
):
    work = tmp_path / "work"
    work.mkdir()
    disk = work / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)  # noqa: ASYNC221 -- quick
    script = "".join(examples())
    assert OURS in script
    here = OURS.replace("127.0.0.1:8089", registry.address.removeprefix("http://"))
    said = await shell(script.replace(OURS, here), work, programs)

    assert (work / "pulled/disk.qcow2").read_bytes() == disk.read_bytes()
    listed = {item["id"]: item for item in await body_of(http, "/registry/v2/vm")}
    mine = repository_of_name("mine")
    assert mine in said
    assert mine in listed
    assert [item["name"] for item in listed.values()] == ["mine"] * 3
    tags = {
        identity: [
            v["tag"] for v in (await body_of(http, "/registry/v2/vm", id=identity))["versions"]
        ]
        for identity in listed
    }
    assert tags.pop(mine) == ["v1", "v2"]
    assert sorted(tags.values()) == [["v1"], ["v1", "v2"]]
    info = await body_of(http, "/registry/vm/info", id=mine, tag="v1")
    assert (info["cpu"], info["ram"]) == ({"cores": 2}, "2G")
    second = msgspec.json.decode(await client.manifest(mine, "v2"), type=Manifest)
    assert len(second.disks) == 2


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_client_of_oras_pushes_a_template_and_pulls_it_again(
    registry, http, tmp_path, chunked
):
    base, top = tmp_path / "base.qcow2", tmp_path / "top.qcow2"
    base.write_bytes(qcow2(100_000))
    top.write_bytes(qcow2_over(base.read_bytes(), 50_000))
    config = tmp_path / "config.json"
    config.write_text('{"name":"by oras","arch":"arm64","cpu":3}')
    target = f"{registry.address.removeprefix('http://')}/team/oras:v1"

    def there_and_back():
        client = OrasClient(insecure=True)
        client.push(
            target,
            files=[f"{file}:{DISK_TYPE}" for file in (base, top)],
            manifest_config=f"{config}:{CONFIG_TYPE}",
            disable_path_validation=True,
            do_chunked=chunked,
            chunk_size=4096,
        )
        assert client.get_tags(target) == ["v1"]
        return client.pull(target, outdir=str(tmp_path / "out"))

    files = await asyncio.to_thread(there_and_back)
    assert [Path(file).read_bytes() for file in files] == [base.read_bytes(), top.read_bytes()]  # noqa: ASYNC240 -- small
    (listed,) = await body_of(http, "/registry/v2/vm")
    assert (listed["name"], listed["arch"]) == ("by oras", "arm64")
