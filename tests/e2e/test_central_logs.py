"""Central logs and failure logs, with every service a process."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.e2e.conftest import Clouds
from tests.processes import Cloud
from tests.waiting import until

REQUEST = "request-of-the-ci-job"
ON = {"central_logging": True}


@pytest.fixture(scope="module")
async def cloud(clouds: Clouds, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    async with clouds(tmp_path_factory.mktemp("logs")) as cloud:
        cloud.registry(**ON)
        there = ON | {"registry_address": cloud.registry_url, "log_level": "debug"}
        cloud.gateway("gateway", **ON)
        cloud.scheduler("scheduler", start_attempts=1, **there)
        cloud.pusher("pusher", **there)
        cloud.agent("mini", heartbeat=1.0, **there)
        cloud.agent("broken", sim_faults="start:1:host-fault", heartbeat=1.0, **there)
        await cloud.up()
        await cloud.push_template()
        await cloud.api.ready(2)
        yield cloud


async def read(cloud, path):
    async with cloud.api.http.get(f"{cloud.api.gateways[0]}/api/v1/log/{path}") as response:
        assert response.status == 200
        return await response.text()


async def lines(cloud, service):
    """The service's log; [] while there is none."""
    text = await read(cloud, f"file?service={service}")
    if text.startswith('{"status":"FAIL"'):
        return []
    head, *rest = text.splitlines()
    assert head.startswith("Log file created at: ")
    return [msgspec.json.decode(line) for line in rest]


async def logged(cloud, log, event, **fields):
    """The line of that event with these fields, as soon as it has arrived."""

    async def find():
        for line in await lines(cloud, log):
            if line.get("event", line.get("name")) == event and fields.items() <= line.items():
                return line
        return None

    return await until(find, 20)


async def test_a_failed_start_can_be_followed_by_its_request_through_every_log(cloud):
    body = msgspec.json.encode({"vmid": cloud.api.template, "node_id": "broken"})
    url = f"{cloud.api.gateways[0]}/api/v1/vm"
    async with cloud.api.http.post(url, data=body, headers={"X-Request-ID": REQUEST}) as response:
        (identity,) = (await response.json())["body"]
    await cloud.api.reaches([identity], "Error")
    ids = {"instance": identity, "node": "broken", "request_id": REQUEST}
    await logged(cloud, "Controller", "instances.accepted", request_id=REQUEST)
    await logged(cloud, "Controller", "instance.changed", **ids)
    await logged(cloud, "Controller", "instance.attempt_failed", **ids)
    await logged(cloud, "broken---broken", "vm.failing", **ids)
    await logged(cloud, "Event", "StartVM", instance_id=identity)
    await logged(cloud, "Controller", "web.listening", service="corral-registry")

    shown = await cloud.api.show(identity)
    paths = [url.removeprefix(f"{cloud.registry_url}/files/logs/") for url in shown["failure_logs"]]
    vm, _, name = paths[0].partition("/")
    assert [path.partition("/")[2] for path in paths] == ["agent.log", "console.log"]
    assert '"event":"vm.failing"' in await read(cloud, f"vm?id={vm}&name={name}")
    async with cloud.api.http.get(shown["failure_logs"][1]) as response:
        assert "simulated VM" in await response.text()


async def test_a_node_that_is_told_so_keeps_its_log_to_itself(cloud):
    await configured(cloud, disable_central_logging=True)
    (silent,) = await cloud.api.start(node_id="mini")
    await cloud.api.reaches([silent], "Started")
    await configured(cloud, disable_central_logging=False)
    (told,) = await cloud.api.start(node_id="mini")
    await logged(cloud, "mini---mini", "vm.started", instance=told)
    assert any(line.get("instance") == silent for line in cloud.log_of("mini"))
    shipped = await lines(cloud, "mini---mini")
    assert [line for line in shipped if line.get("instance") == silent] == []


async def configured(cloud, **wish):
    """Have the node's configuration changed, and known to its agent."""

    def versions():
        return [line for line in cloud.log_of("mini") if line["event"] == "node.configured"]

    before = len(versions())
    await cloud.api.ok("POST", "node/config", {"node_id": "mini"} | wish)
    await until(lambda: len(versions()) > before, 20)
