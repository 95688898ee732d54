import re

import pytest

from contracts.templates import TemplateChanged, TemplateRemoved
from tests.integration.gateway.cloud import SUSPENDED, TEMPLATE, Api, Cloud, template
from tests.integration.gateway.registry import FakeRegistry
from tests.waiting import until

DIGEST = "sha256:" + "1".zfill(64)


async def _gateway(cloud: Cloud, registry: FakeRegistry) -> Api:
    return await cloud.gateway(
        registry_address="http://public.example:8089",
        registry_local_address=registry.address,
        registry_poll_seconds=0.05,
    )


async def test_a_template_that_nobody_has_is_not_in_the_registry(
    cloud: Cloud, registry: FakeRegistry
):
    api = await _gateway(cloud, registry)
    answer = await api("POST", "/api/v1/vm", {"vmid": "nobody"})
    assert answer.json == {"status": "FAIL", "message": "VM not in the registry"}
    assert registry.asked == ["nobody"]


async def test_a_template_pushed_a_moment_ago_starts(cloud: Cloud, registry: FakeRegistry):
    api = await _gateway(cloud, registry)
    registry.known.add(TEMPLATE)
    registry.on_ask = cloud.add_template
    assert len(await api.start()) == 1


async def test_an_unreachable_registry_is_said(cloud: Cloud, registry: FakeRegistry):
    api = await cloud.gateway()
    answer = await api("POST", "/api/v1/vm", {"vmid": "nobody"})
    assert answer.failure == "registry unreachable: no connection to it"
    registry.broken = True
    api = await _gateway(cloud, registry)
    answer = await api("POST", "/api/v1/vm", {"vmid": "nobody"})
    assert answer.failure == "registry unreachable: it answered 500"


async def test_a_known_template_needs_no_registry(cloud: Cloud):
    await cloud.add_template()
    api = await cloud.gateway()
    assert len(await api.start(tag="v1")) == 1
    assert (await api("POST", "/api/v1/vm", {"vmid": TEMPLATE, "tag": "x"})).failure == (
        "No such tag x"
    )


@pytest.mark.parametrize(
    ("wish", "number"), [({}, 1), ({"tag": "v1"}, 0), ({"version": "0"}, 0), ({"version": 1}, 1)]
)
async def test_a_start_means_the_tag_or_version_or_else_the_latest(cloud: Cloud, wish, number):
    await cloud.add_template()
    api = await cloud.gateway()
    (identity,) = await api.start(**wish)
    vm = await api.vm(identity)
    assert vm["tag"] == f"v{number + 1}"
    assert vm.get("version") == (number if "version" in wish else None)


async def test_hardware_that_a_saved_state_cannot_take_is_refused(cloud: Cloud):
    await cloud.add_template(SUSPENDED, suspended=True)
    api = await cloud.gateway()
    answer = await api("POST", "/api/v1/vm", {"vmid": SUSPENDED, "vcpu": 4})
    assert answer.failure.startswith("vcpu: ")
    assert await api.listed() == {}


async def test_what_no_node_can_do_is_refused(cloud: Cloud):
    await cloud.add_template()
    api = await cloud.gateway()
    assert len(await api.start(usb_device="iphones")) == 1
    await cloud.add_node()
    await until(lambda: _has_node(api))
    answer = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE, "usb_device": "iphones"})
    assert answer.failure == "usb_device: no node of this cloud supports it"
    assert len(await api.start(vcpu=2)) == 1


async def test_templates_look_as_documented(cloud: Cloud):
    await cloud.add_template()
    api = await cloud.gateway()
    assert (await api("GET", "/api/v1/registry/vm")).body == [
        {
            "id": TEMPLATE,
            "name": "base",
            "size": 28221379076,
            "arch": "amd64",
            "last_pull": 0,
            "last_push": 1935655200,
        }
    ]
    brief = (await api("GET", "/api/v1/registry/vm?apiVer=v1")).body
    assert brief == [{"id": TEMPLATE, "name": "base"}]
    one = (await api("GET", f"/api/v1/registry/vm?id={TEMPLATE}")).body
    assert [version["tag"] for version in one["versions"]] == ["v1", "v2"]
    assert one["versions"][1] == {
        "number": 1,
        "tag": "v2",
        "config_file": f"{TEMPLATE}.yaml",
        "nvram": "",
        "images": [DIGEST, "sha256:" + "63".zfill(64)],
        "state_files": [],
        "description": "",
        "state_file": "",
        "size": 26937917952,
        "arch": "",
        "last_pull": 0,
        "last_push": 1935655200,
        "creation_date": 1935655200,
    }
    assert (await api("GET", "/api/v1/registry/vm?id=x")).failure == "Not found"


async def test_templates_move_with_the_registry(cloud: Cloud):
    await cloud.add_template()
    api = await cloud.gateway()
    pushed = template(tags=("v1", "v2", "v3"), revision=2)
    await cloud.publish(TemplateChanged(template=pushed))
    await until(lambda: _newest(api, "v3"))
    await cloud.publish(TemplateRemoved(template_id=TEMPLATE, revision=3))
    await until(lambda: _no_templates(api))


async def test_status_and_disk_are_as_of_the_last_poll(cloud: Cloud, registry: FakeRegistry):
    api = await _gateway(cloud, registry)
    status = await until(lambda: _registry_status(api, "Running"))
    assert status == {
        "status": "Running",
        "version": status["version"],
        "registry_address": "http://public.example:8089",
        "registry_status": "Running",
        "license": "enterprise plus",
    }
    assert re.fullmatch(r"\d+\.\d+\.\d+-[0-9a-f]{8}", status["version"])
    disk = {"free": 402653184000, "total": 994662584320}
    assert (await api("GET", "/api/v1/registry/disk")).body == disk
    registry.broken = True
    await until(lambda: _registry_status(api, "FAIL"))
    answer = await api("GET", "/api/v1/registry/disk")
    assert answer.failure.startswith("registry unreachable: ")


async def test_agents_are_given_the_public_registry(cloud: Cloud, registry: FakeRegistry):
    await cloud.add_template()
    api = await _gateway(cloud, registry)
    (identity,) = await api.start()
    assert (await api.vm(identity))["anka_registry"] == "http://public.example:8089"


async def _has_node(api: Api) -> bool:
    return bool((await api("GET", "/api/v1/node")).body)


async def _newest(api: Api, tag: str) -> bool:
    one = (await api("GET", f"/api/v1/registry/vm?id={TEMPLATE}")).body
    return one["versions"][-1]["tag"] == tag


async def _no_templates(api: Api) -> bool:
    return (await api("GET", "/api/v1/registry/vm")).body == []


async def _registry_status(api: Api, wanted: str):
    body = (await api("GET", "/api/v1/status")).body
    return body if body["registry_status"] == wanted else None
