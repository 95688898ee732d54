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


async def test_save_asks_for_a_tag_and_prints_the_requests_id(controller, tmp_path):
    script = tmp_path / "clean.sh"
    script.write_text("true\n")
    controller.answers["GET /api/v1/registry/vm"] = [{"id": "t-1", "name": "base"}]
    controller.answers["POST /api/v1/image"] = {"request_id": "r-1"}
    wish = ("--template", "base", "--stop", "--script", str(script))
    code, out, _ = await corral(controller, "vm", "save", "i-1", "v2", *wish)
    assert (code, out) == (0, "r-1\n")
    asked = {"id": "i-1", "tag": "v2", "target_vm_id": "t-1", "suspend": False}
    assert controller.asked[-1] == ("POST /api/v1/image", asked | {"script": "dHJ1ZQo="})


async def test_saves_show_how_they_ended(controller):
    request = {"InstanceID": "i-1", "Tag": "v2"}
    failed = {"id": "r-1", "status": "error", "request": request, "error": {"Message": "no disk"}}
    controller.answers["GET /api/v1/image"] = [failed]
    controller.answers["GET /api/v1/image?id=r-2"] = failed | {"id": "r-2", "error": None}
    _, out, _ = await corral(controller, "vm", "saves")
    assert out.splitlines()[1].split() == ["r-1", "error", "i-1", "v2", "no", "disk"]
    _, out, _ = await corral(controller, "vm", "saves", "r-2")
    assert out.splitlines()[1].split() == ["r-2", "error", "i-1", "v2"]


async def test_templates_are_deleted_reverted_and_distributed_by_name(controller):
    controller.answers["GET /api/v1/registry/vm"] = [{"id": "t-1", "name": "base"}]
    controller.answers["POST /api/v1/registry/vm/distribute"] = {"request_id": "r-1"}
    calls = {
        ("delete", "base"): ("DELETE /api/v1/registry/vm?id=t-1", None),
        ("revert", "base"): ("DELETE /api/v1/registry/revert?id=t-1", None),
        ("revert", "base", "--tag", "v1"): ("DELETE /api/v1/registry/revert?id=t-1&tag=v1", None),
        ("distribute", "base", "--tag", "v1", "--node", "n-1", "--node", "n-2"): (
            "POST /api/v1/registry/vm/distribute",
            {"template_id": "t-1", "tag": "v1", "node_ids": ["n-1", "n-2"]},
        ),
    }
    for arguments, asked in calls.items():
        code, out, _ = await corral(controller, "template", *arguments)
        assert (code, controller.asked[-1]) == (0, asked)
    assert out == "r-1\n"


async def test_distributions_show_each_node_and_can_be_canceled(controller):
    known = {
        "request": {"request_id": "r-1", "template_id": "t-1"},
        "distribute_status": {
            "n-1": {"status": True, "progress": 1},
            "n-2": {"status": False, "progress": 0.04, "error": "request canceled"},
        },
    }
    controller.answers["GET /api/v1/registry/vm/distribute?id=r-1"] = known
    code, out, _ = await corral(controller, "template", "distributions", "r-1", "--cancel")
    assert code == 0
    assert controller.asked[0] == ("DELETE /api/v1/registry/vm/distribute?id=r-1", None)
    first, second = out.splitlines()[1:]
    assert first.split() == ["r-1", "t-1", "n-1", "yes", "100%"]
    assert second.split() == ["r-1", "t-1", "n-2", "no", "4%", "request", "canceled"]


async def test_nodes_are_listed(controller):
    node = {"node_id": "n-1", "node_name": "mini", "state": "Active", "vm_count": 1, "capacity": 2}
    controller.answers["GET /api/v1/node"] = [node]
    code, out, _ = await corral(controller, "node", "list")
    assert code == 0
    assert out.splitlines()[1].split() == ["n-1", "mini", "Active", "1", "2"]
