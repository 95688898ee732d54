"""``corral vm`` and ``corral node`` against a controller that only knows what it is told."""

import asyncio
import json
import os
import sys

import pytest
from aiohttp import web

from chassis.web import WebServer

STARTED = {
    "instance_id": "i-1",
    "external_id": None,
    "name": None,
    "vm": {
        "instance_id": "i-1",
        "instance_state": "Started",
        "tag": "v1",
        "node_id": "node-1",
        "vminfo": {
            "host_ip": "10.0.0.9",
            "port_forwarding": [{"guest_port": 22, "host_port": 10000, "name": "ssh"}],
        },
    },
}


class FakeController:
    def __init__(self):
        self.asked = []
        self.answers = {}
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        self.server = WebServer(app, "127.0.0.1", 0)

    async def answer(self, request):
        body = await request.read()
        call = f"{request.method} {request.path_qs}"
        self.asked.append((call, json.loads(body) if body else None))
        known = self.answers.get(call)
        if isinstance(known, str):
            return web.json_response({"status": "FAIL", "message": known})
        return web.json_response({"status": "OK", "message": "", "body": known})


@pytest.fixture
async def controller():
    fake = FakeController()
    await fake.server.start()
    yield fake
    await fake.server.stop()


async def corral(controller, *arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from corral.cli import main; main()"),
        *arguments,
        *("--controller", controller.server.address),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200"},
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_start_takes_the_templates_name_and_prints_the_ids(controller):
    controller.answers["GET /api/v1/registry/vm"] = [{"id": "t-1", "name": "base"}]
    controller.answers["POST /api/v1/vm"] = ["i-1", "i-2"]
    code, out, _ = await corral(controller, "vm", "start", "base", "--tag", "v1", "--count", "2")
    assert (code, out.split()) == (0, ["i-1", "i-2"])
    wished = {"vmid": "t-1", "tag": "v1", "count": 2}
    assert controller.asked[-1] == ("POST /api/v1/vm", wished)


async def test_a_failure_is_the_controllers_message_and_a_status(controller):
    controller.answers["GET /api/v1/registry/vm"] = []
    controller.answers["POST /api/v1/vm"] = "VM not in the registry"
    code, _, err = await corral(controller, "vm", "start", "t-9")
    assert (code, err.strip()) == (1, "corral: VM not in the registry")


async def test_a_list_shows_where_to_reach_a_vm(controller):
    controller.answers["GET /api/v1/vm"] = [STARTED]
    code, out, _ = await corral(controller, "vm", "list")
    assert code == 0
    assert out.splitlines()[1].split() == ["i-1", "Started", "v1", "node-1", "10.0.0.9:10000"]
    _, raw, _ = await corral(controller, "vm", "list", "--json")
    assert json.loads(raw) == [STARTED]


async def test_show_and_stop_name_the_instance(controller):
    controller.answers["GET /api/v1/vm?id=i-1"] = {"instance_id": "i-1"}
    _, out, _ = await corral(controller, "vm", "show", "i-1")
    assert json.loads(out) == {"instance_id": "i-1"}
    code, _, _ = await corral(controller, "vm", "stop", "i-1", "i-2")
    assert code == 0
    assert controller.asked[1:] == [
        ("DELETE /api/v1/vm", {"id": "i-1"}),
        ("DELETE /api/v1/vm", {"id": "i-2"}),
    ]


async def test_nodes_are_listed(controller):
    node = {"node_id": "n-1", "node_name": "mini", "state": "Active", "vm_count": 1, "capacity": 2}
    controller.answers["GET /api/v1/node"] = [node]
    code, out, _ = await corral(controller, "node", "list")
    assert code == 0
    assert out.splitlines()[1].split() == ["n-1", "mini", "Active", "1", "2"]
