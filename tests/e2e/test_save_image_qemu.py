"""Images of real guests through the public API: saved on one node, going on on another."""

import base64
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.event_log import kinds_by_subject, read_log
from tests.images import push_demo_guest
from tests.processes import Cloud, qemu_processes
from tests.waiting import until

pytestmark = pytest.mark.timeout(400)

NODES = ("one", "two")
CHANGE = "echo changed > /root/mark; touch /tmp/alive; sync"
LOOK = "cat /root/mark; test -e /tmp/alive && echo alive || echo booted; date +%s"


@pytest.fixture
async def fleet(cloud: Cloud) -> AsyncIterator[Cloud]:
    """Two nodes with real guests, and the demo template on both."""
    cloud.registry()
    cloud.gateway("gateway")
    cloud.scheduler(
        "scheduler",
        lease_seconds=3.0,
        heartbeat_seconds=1.0,
        sweep_seconds=2.0,
        instance_time_out=3.0,
    )
    cloud.pusher("pusher", lease_seconds=3.0)
    for node in NODES:
        cloud.agent(node, driver="qemu", heartbeat=1.0, reserve_space="1GB")
    await cloud.up()
    cloud.api.template = await push_demo_guest(cloud.registry_url)
    await cloud.api.ready(len(NODES))
    await distributed(cloud, "v1")
    yield cloud
    for node in NODES:
        for pid in qemu_processes(cloud.data(node)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def encoded(script: str) -> str:
    return base64.b64encode(script.encode()).decode()


async def distributed(cloud: Cloud, tag: str) -> None:
    """Have the tag on every node."""
    body = {"template_id": cloud.api.template, "tag": tag}
    request = (await cloud.api.ok("POST", "registry/vm/distribute", body))["request_id"]

    async def there() -> bool:
        shown = await cloud.api.ok("GET", f"registry/vm/distribute?id={request}")
        return all(node["status"] for node in shown["distribute_status"].values())

    await until(there, 60, every=0.1)


async def started(cloud: Cloud, node: str, **wish: Any) -> dict[str, Any]:
    """A VM on this node, once it is Started."""
    [vm] = await cloud.api.start(node_id=node, script_monitoring=True, **wish)
    await cloud.api.reaches([vm], "Started", 150)
    return await cloud.api.show(vm)


async def save(cloud: Cloud, vm: str, tag: str, **wish: Any) -> str:
    """POST /image; the request's id."""
    body = {"id": vm, "tag": tag, "target_vm_id": cloud.api.template, "suspend": False}
    answer: dict[str, str] = await cloud.api.ok("POST", "image", body | wish)
    return answer["request_id"]


async def saved(cloud: Cloud, request: str, limit: float = 120) -> dict[str, Any]:
    """The request, once it has ended."""

    async def over() -> dict[str, Any] | None:
        shown: dict[str, Any] = await cloud.api.ok("GET", f"image?id={request}")
        return shown if shown["status"] != "pending" else None

    found = await until(over, limit, every=0.1)
    assert found
    return found


def blobs(cloud: Cloud, node: str) -> set[str]:
    """What is in a node's cache."""
    return {file.name for file in (cloud.data(node) / "qemu/blobs").iterdir()}


async def test_a_guest_is_changed_saved_and_goes_on_on_another_node(fleet, cloud_store):
    """Stopped as a tag, of which only the new layer is pulled; then suspended as a template."""
    api = fleet.api
    first = (await started(fleet, "one"))["instance_id"]
    request = await save(fleet, first, "v2", script=encoded(CHANGE), description="with a mark")
    await api.reaches([first], "Pushing", 30)
    done = await saved(fleet, request)
    assert (done["status"], done["error"]) == ("done", None)
    assert done["script_result"]["return_code"] == 0
    assert (done["request"]["NodeID"], done["request"]["Tag"]) == ("one", "v2")
    await api.reaches([first], "", 60)
    await until(lambda: qemu_processes(fleet.data("one")) == [], 10)
    shown = await api.ok("GET", f"registry/vm?id={api.template}")
    assert [(v["tag"], v["description"]) for v in shown["versions"]][1] == ("v2", "with a mark")
    assert len(shown["versions"][1]["images"]) == len(shown["versions"][0]["images"]) + 1

    before = blobs(fleet, "two")
    second = await started(fleet, "two", tag="v2", startup_script=encoded(LOOK))
    assert second["startup_script"]["stdout"].splitlines()[:2] == ["changed", "booted"]
    assert len(blobs(fleet, "two") - before) == 2  # the new layer and the config

    wish = {"target_vm_id": None, "new_template_name": "warm", "suspend": True}
    request = await save(
        fleet, second["instance_id"], "v1", script=encoded("touch /tmp/alive"), **wish
    )
    done = await saved(fleet, request)
    assert (done["status"], done["error"]) == ("done", None)
    await api.reaches([second["instance_id"]], "", 60)
    warm = done["request"]["TemplateID"]
    asleep = (await api.ok("GET", f"registry/vm?id={warm}"))["versions"][0]
    assert asleep["state_file"] in asleep["state_files"]
    third = await started(fleet, "one", vmid=warm, tag="v1", startup_script=encoded(LOOK))
    mark, alive, seconds = third["startup_script"]["stdout"].splitlines()
    assert (mark, alive) == ("changed", "alive")
    assert abs(int(seconds) - datetime.now(UTC).timestamp()) < 60
    await api.terminate(third["instance_id"])
    await api.reaches([third["instance_id"]], "", 30)
    kinds = kinds_by_subject(await read_log(cloud_store))
    assert kinds[first][-1] == "VMTerminated"
    assert kinds[request] == ["SaveImage", "ImageSaved"]


async def test_whatever_goes_wrong_with_a_save_its_guest_runs_on(fleet):
    """A script that fails, an agent and a registry that are killed, and an end in the middle."""
    api = fleet.api
    vm = (await started(fleet, "one"))["instance_id"]
    [qemu] = qemu_processes(fleet.data("one"))

    failing = {"script": encoded("echo no >&2; exit 7"), "cancel_on_script_failure": True}
    failed = await saved(fleet, await save(fleet, vm, "bad", **failing))
    assert failed["status"] == "error"
    assert failed["error"] == {"Message": "Script execution failed", "Code": 0}
    assert (failed["script_result"]["return_code"], failed["script_result"]["stderr"]) == (
        7,
        "no\n",
    )
    await api.reaches([vm], "Started", 20)
    assert qemu_processes(fleet.data("one")) == [qemu]

    request = await save(fleet, vm, "v2", suspend=True)
    await api.reaches([vm], "Pushing", 30)
    fleet.kill("one", "registry")
    fleet.start("registry", "one")
    done = await saved(fleet, request, 200)
    if done["status"] == "error":  # killed before anything was pushed: the guest goes on
        await api.reaches([vm], "Started", 60)
        request = await save(fleet, vm, "v2", suspend=True)
        done = await saved(fleet, request)
    assert (done["status"], done["error"]) == ("done", None)
    await api.reaches([vm], "", 60)
    tags = [v["tag"] for v in (await api.ok("GET", f"registry/vm?id={api.template}"))["versions"]]
    assert tags == ["v1", "v2"]

    last = (await started(fleet, "two"))["instance_id"]
    request = await save(fleet, last, "v3", script=encoded("sleep 60"))
    await api.reaches([last], "Pushing", 30)
    await api.terminate(last)
    ended = await saved(fleet, request)
    assert (ended["status"], ended["error"]["Message"]) == ("error", "instance was terminated")
    await api.reaches([last], "", 60)
    assert qemu_processes(fleet.data("two")) == []
