"""What may not be saved, and how the answer says so."""

import pytest

from contracts.instances import InstanceState
from tests.integration.gateway.cloud import TEMPLATE, Api, Cloud, running

IMAGE = "/api/v1/image"
WISH = {"target_vm_id": TEMPLATE, "tag": "v3"}


@pytest.mark.parametrize("state", [s for s in InstanceState if s is not InstanceState.STARTED])
async def test_only_a_started_instance_can_be_saved(api: Api, cloud: Cloud, state):
    (instance,) = await api.start()
    await cloud.write_status(instance, state=state)
    answer = await api("POST", IMAGE, WISH | {"id": instance})
    assert answer.failure == f"instance is {state}: only one that is Started can be saved"
    assert (await api("GET", IMAGE)).body == []


async def test_an_instance_that_is_wished_gone_is_not_saved(api: Api, instance):
    await api("DELETE", "/api/v1/vm", {"id": instance})
    answer = await api("POST", IMAGE, WISH | {"id": instance})
    assert answer.failure.startswith("instance is Terminating: ")


async def test_an_instance_started_a_moment_ago_is_saved_though_nobody_has_told(
    api: Api, cloud: Cloud
):
    (instance,) = await api.start()
    await cloud.write_status(instance, state=InstanceState.STARTED, vminfo=running())
    answer = await api("POST", IMAGE, WISH | {"id": instance})
    assert answer.body["request_id"]


async def test_what_does_not_exist_is_said(cloud: Cloud, api: Api, instance, registry):
    asking = await cloud.gateway(registry_address=registry.address)
    wish = WISH | {"id": instance}
    for wrong, message in (
        ({"id": "x"}, "Not found"),
        ({"target_vm_id": "x"}, "VM not in the registry"),
    ):
        assert (await asking("POST", IMAGE, wish | wrong)).failure == message
    assert (await api("GET", f"{IMAGE}?id=x")).failure == "Not found"
    assert (await api("GET", IMAGE)).body == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"id": None}, "id"),
        ({"tag": ""}, "tag"),
        ({"target_vm_id": None}, "target_vm_id or new_template_name"),
        ({"suspend": "yes"}, "suspend"),
        ({"script": 7}, "script"),
        ({"description": []}, "description"),
        ({"revert_before_push": 1}, "revert_before_push"),
    ],
)
async def test_a_malformed_request_is_400_naming_the_field(api: Api, instance, wrong, field):
    wish = WISH | {"id": instance} | wrong
    answer = await api("POST", IMAGE, wish)
    assert answer.code == 400
    assert answer.json["message"].startswith(f"{field}: ")
    assert "body" not in answer.json
