"""Saving a running instance: what is asked, what is refused, how requests look."""

import base64
import json
import uuid

from contracts.images import (
    ImageFailure,
    ImageRequestDocument,
    ImageState,
    SaveImage,
)
from contracts.vms import ScriptResult
from tests.integration.gateway.cloud import NODE, TEMPLATE, Api, Cloud
from tests.integration.gateway.documented import assert_like
from tests.integration.gateway.owners import move_image
from tests.waiting import until

IMAGE = "/api/v1/image"
REGISTRY = "http://127.0.0.1:1"
SCRIPT = b'#!/bin/bash\necho $(hostname)\nbash -c "echo $TEST"\n'
TEXT = base64.b64encode(SCRIPT).decode()
ERROR = "illegal base64 data at input byte 4"
ACCEPTED = {
    "status": "OK",
    "body": {"request_id": "cc55f7dd-5280-4120-461c-9b0ef9b40131"},
    "message": "",
}
DOCUMENTED = {
    "id": "ad84c5aa-2b1d-4ff5-72ef-9b519646b212",
    "request": {
        "RequestId": "ad84c5aa-2b1d-4ff5-72ef-9b519646b212",
        "Priority": 0,
        "Timestamp": 1617720316,
        "ReserveExpiryTimestamp": 0,
        "RegistryAddr": "http://anka.registry:8089",
        "VMID": "bd07b49e-201c-44ad-8103-be39ec1b9a2c",
        "InstanceID": "6f1776ad-3b6d-40b3-4bf9-21fe986bc26d",
        "NodeID": "3c101836-9540-4733-9482-604d0c5fbe30",
        "TemplateID": "e2729233-fbca-4e71-82de-511028191e33",
        "NewTemplateName": "",
        "Tag": "test123",
        "Description": "",
        "Suspend": True,
        "Script": TEXT,
        "DoSuspendTest": False,
        "RevertBeforePush": False,
        "RevertTag": "",
        "CancelOnScriptFailure": False,
    },
    "status": "done",
    "error": None,
    "script_result": {
        "stdout": "mgmtmanaged-11-2-3\n",
        "stderr": "",
        "errors": None,
        "did_timeout": False,
        "return_code": 0,
    },
}


async def _save(api: Api, instance: str, **fields) -> str:
    wish = {"id": instance, "target_vm_id": TEMPLATE, "tag": "v3", **fields}
    return (await api("POST", IMAGE, wish)).body["request_id"]


async def _show(api: Api, identity: str):
    return (await api("GET", f"{IMAGE}?id={identity}")).body


async def test_the_documented_calls_are_accepted_with_a_request_id(api: Api, instance):
    for wish in (
        {"tag": "my-new-vm-1901", "revert_before_push": True, "revert_tag": "latest-vm-1801"},
        {"tag": "test123", "script": TEXT},
    ):
        answer = await api("POST", IMAGE, {"id": instance, "target_vm_id": TEMPLATE, **wish})
        assert_like(ACCEPTED, answer.json)


async def test_a_pending_request_is_the_documented_one(api: Api, instance):
    identity = await _save(
        api, instance, tag="my-new-vm-1901", revert_before_push=True, revert_tag="latest-vm-1801"
    )
    shown = await _show(api, identity)
    timestamp = shown["request"]["Timestamp"]
    assert isinstance(timestamp, int)
    assert timestamp > 1_700_000_000
    assert shown == {
        "id": identity,
        "status": "pending",
        "error": None,
        "script_result": None,
        "request": {
            "RequestId": identity,
            "Priority": 0,
            "Timestamp": timestamp,
            "ReserveExpiryTimestamp": 0,
            "RegistryAddr": REGISTRY,
            "VMID": "vm-1",
            "InstanceID": instance,
            "NodeID": NODE,
            "TemplateID": TEMPLATE,
            "NewTemplateName": "",
            "Tag": "my-new-vm-1901",
            "Description": "",
            "Suspend": True,
            "Script": "",
            "DoSuspendTest": False,
            "RevertBeforePush": True,
            "RevertTag": "latest-vm-1801",
            "CancelOnScriptFailure": False,
        },
    }


async def test_a_request_that_is_done_is_the_documented_one(api: Api, cloud: Cloud, instance):
    first = await _save(api, instance)
    identity = await _save(api, instance, tag="test123", script=TEXT)
    result = ScriptResult(return_code=0, stdout="mgmtmanaged-11-2-3\n")
    await move_image(cloud.store, identity, state=ImageState.DONE, script_result=result)
    listed = (await api("GET", IMAGE)).body
    assert [item["id"] for item in listed] == [first, identity]
    assert_like(DOCUMENTED, listed[1])
    assert listed[1] == await _show(api, identity)
    assert listed[1]["request"]["Script"] == TEXT
    assert listed[1]["script_result"] == DOCUMENTED["script_result"]


async def test_a_failed_script_shows_as_documented(api: Api, cloud: Cloud, instance):
    script = base64.b64encode(b"fadsfsd\n").decode()
    identity = await _save(api, instance, script=script, cancel_on_script_failure=True)
    stderr = "sh: line 1: fadsfsd: command not found\n"
    await move_image(
        cloud.store,
        identity,
        state=ImageState.ERROR,
        failure=ImageFailure(message="Script execution failed", code=0),
        script_result=ScriptResult(return_code=127, stderr=stderr),
    )
    shown = await _show(api, identity)
    assert shown["status"] == "error"
    assert shown["error"] == {"Message": "Script execution failed", "Code": 0}
    assert shown["script_result"] == {
        "return_code": 127,
        "errors": None,
        "did_timeout": False,
        "stdout": "",
        "stderr": stderr,
    }


async def test_errors_of_running_the_script_are_listed(api: Api, cloud: Cloud, instance):
    identity = await _save(api, instance, script=TEXT)
    result = ScriptResult(return_code=-1, did_timeout=True, errors=("stdin closed",))
    await move_image(cloud.store, identity, state=ImageState.DONE, script_result=result)
    assert (await _show(api, identity))["script_result"]["errors"] == ["stdin closed"]


async def test_a_script_that_is_no_base64_is_accepted_and_has_failed_as_documented(
    api: Api, cloud: Cloud, instance
):
    identity = await _save(api, instance, script="Zm9v?")
    shown = await _show(api, identity)
    assert shown["status"] == "error"
    assert shown["error"] == {"Message": ERROR, "Type": "base64.CorruptInputError"}
    assert shown["script_result"] is None
    assert shown["request"]["Script"] == "Zm9v?"
    document = await _stored(cloud, identity)
    assert not document.pending
    assert document.status.observed_generation == document.generation
    await _save(api, instance)
    (command,) = await until(lambda: cloud.said(SaveImage))
    assert command.request_id != identity
    assert (await api.vm(instance))["instance_state"] == "Started"


async def test_the_scheduler_is_told_all_that_was_asked(api: Api, cloud: Cloud, instance):
    identity = await _save(
        api,
        instance,
        description="nightly",
        suspend=False,
        script=TEXT,
        revert_before_push=True,
        revert_tag="v2",
        do_suspend_sanity_test=True,
        cancel_on_script_failure=True,
    )
    (command,) = await until(lambda: cloud.said(SaveImage))
    document = await _stored(cloud, identity)
    assert document.pending
    for wish in (command, document.spec):
        assert (wish.instance_id, wish.target_template_id, wish.tag) == (instance, TEMPLATE, "v3")
        assert (wish.description, wish.suspend, wish.revert_tag) == ("nightly", False, "v2")
        assert (wish.revert_before_push, wish.suspend_sanity_test) == (True, True)
        assert wish.cancel_on_script_failure
        assert (wish.script.body, wish.script.monitored) == (SCRIPT, True)
    assert document.spec.registry == REGISTRY


async def test_a_new_template_gets_an_id_that_shows_at_once(api: Api, cloud: Cloud, instance):
    wish = {"id": instance, "new_template_name": "base-2", "tag": "v1", "target_vm_id": ""}
    identity = (await api("POST", IMAGE, wish)).body["request_id"]
    request = (await _show(api, identity))["request"]
    assert request["NewTemplateName"] == "base-2"
    assert str(uuid.UUID(request["TemplateID"])) == request["TemplateID"] != TEMPLATE
    (command,) = await until(lambda: cloud.said(SaveImage))
    assert command.new_template_name == "base-2"
    assert command.target_template_id == request["TemplateID"]


async def test_a_target_wins_over_a_new_name(api: Api, instance):
    identity = await _save(api, instance, new_template_name="base-2")
    request = (await _show(api, identity))["request"]
    assert (request["TemplateID"], request["NewTemplateName"]) == (TEMPLATE, "")


async def test_jenkins_finds_the_feature_saves_and_polls(api: Api, cloud: Cloud, instance):
    assert (await api("GET", IMAGE)).body == []
    wish = {
        "id": instance,
        "target_vm_id": TEMPLATE,
        "new_template_name": "",
        "tag": "nightly-\xe9",
        "description": "",
        "suspend": True,
        "script": "",
        "revert_before_push": True,
        "do_suspend_sanity_test": True,
        "revert_tag": "nightly",
    }
    latin1 = json.dumps(wish, ensure_ascii=False).encode("latin-1")
    identity = (await api("POST", IMAGE, latin1)).body["request_id"]
    assert isinstance(identity, str)
    assert (await _show(api, identity))["request"]["Tag"] == "nightly-é"
    assert (await _show(api, identity))["status"] == "pending"
    await move_image(cloud.store, identity, state=ImageState.DONE)
    assert (await _show(api, identity))["status"] == "done"


async def test_any_gateway_shows_a_request_at_once(api: Api, cloud: Cloud, instance):
    other = await cloud.gateway()
    identity = await _save(api, instance)
    assert await _show(other, identity) == await _show(api, identity)


async def _stored(cloud: Cloud, identity: str) -> ImageRequestDocument:
    document = await cloud.store.get("image_requests", ImageRequestDocument, identity)
    assert document is not None
    return document
