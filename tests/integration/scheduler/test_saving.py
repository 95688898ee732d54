"""Saving images with a real scheduler, on both buses; the agent is played by the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.port import Bus
from chassis.store.mongo import MongoStore
from chassis.store.port import Update
from contracts.images import ImageState
from contracts.vms import ScriptResult
from tests.cloud import TEMPLATE_ID, a_template
from tests.saving import SavingCloud, saving_cloud
from tests.waiting import until


@pytest.fixture
async def saving(any_bus: Bus, own_store: MongoStore, tmp_path: Path) -> AsyncIterator[SavingCloud]:
    """A scheduler, an event-pusher, a gateway and a played node."""
    async with saving_cloud(any_bus, own_store, tmp_path) as saving:
        await saving.cloud.scheduler()
        await saving.cloud.pusher()
        await saving.ready()
        yield saving


async def test_a_saved_instance_is_a_new_version_and_gone(saving):
    vm = await saving.started()
    request = await saving.save(vm, description="with tools")
    await saving.begun(request)
    await saving.cloud.reaches([vm], "Pushing")
    [order] = saving.agent.pushes
    assert (order.repository, order.template_name) == (TEMPLATE_ID, "base")
    assert (order.tag, order.description) == ("v9", "with tools")
    ran = ScriptResult(return_code=0, stdout="hi")
    await saving.agent.end_save(request, digest="sha256:new", script_result=ran)
    document = await saving.ended(request)
    assert document.status.state is ImageState.DONE
    assert (document.status.digest, document.status.script_result) == ("sha256:new", ran)
    shown = await saving.show(request)
    assert (shown["status"], shown["error"]) == ("done", None)
    assert shown["script_result"]["stdout"] == "hi"
    assert (document.pending, document.status.observed_generation) == (False, 1)
    await saving.cloud.reaches([vm], "")
    assert {stop.instance_id for stop in saving.agent.stops} == {vm}


async def test_the_event_log_tells_of_a_save(saving):
    vm = await saving.started()
    request = await saving.save(vm)
    await saving.begun(request)
    await saving.agent.end_save(request, digest="sha256:new")

    async def told():
        log = [entry.event for entry in await saving.cloud.events("SaveImage", "ImageSaved")]
        return log if len(log) == 2 else []

    asked, saved = await until(told)
    spec = (await saving.request(request)).spec
    assert (asked.kind, asked.actor) == ("SaveImage", spec.actor or "anonymous")
    assert asked.request_id == spec.request_id != ""
    assert (asked.event_type, asked.subject) == ("apiAction", request)
    assert saved.kind == "ImageSaved"
    assert saved.fields == {
        "image_request_id": request,
        "instance_id": vm,
        "template_id": TEMPLATE_ID,
        "tag": "v9",
        "digest": "sha256:new",
    }


async def test_after_a_failed_save_the_instance_runs_on(saving):
    vm = await saving.started()
    request = await saving.save(vm)
    await saving.begun(request)
    await saving.agent.end_save(request, error="exit code 3", script_failed=True)
    await saving.ended(request)
    shown = await saving.show(request)
    assert shown["status"] == "error"
    assert shown["error"] == {"Message": "Script execution failed", "Code": 0}
    await saving.cloud.reaches([vm], "Started")
    assert not saving.agent.stops


async def test_the_next_save_of_a_template_waits_and_sees_what_the_first_has_made_of_it(saving):
    first_vm, second_vm = await saving.started(), await saving.started()
    first = await saving.save(first_vm)
    await saving.begun(first)
    second = await saving.save(second_vm, revert_before_push=True)

    async def accepted():
        return not (await saving.request(second)).pending

    await until(accepted)
    assert await saving.cloud.state(second_vm) == "Started"
    pushed = with_versions(a_template(), 3)
    await saving.cloud.store.write(
        [Update(collection="templates", where={"_id": TEMPLATE_ID}, change=pushed)]
    )
    await saving.agent.end_save(first, digest="sha256:new")
    await saving.begun(second)
    assert [(o.request_id, o.revert_number) for o in saving.agent.pushes] == [
        (first, None),
        (second, 2),
    ]


def with_versions(template, count):
    first = template.versions[0]
    versions = [
        {
            "number": number,
            "tag": f"v{number + 1}",
            "digest": first.digest,
            "created": first.created,
            "last_push": first.last_push,
        }
        for number in range(count)
    ]
    return {"$set": {"versions": versions, "next_number": count}}
