"""Saves whose messages are lost, late or repeated, and what is left of them in the end."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from contracts.documents import say
from contracts.events import EventHappened, EventKind, EventType
from contracts.images import ImageRequestDocument, ImageSpec, ImageState, ImageStatus, SaveImage
from tests.saving import SavingCloud, saving_cloud
from tests.waiting import until


@pytest.fixture
async def bare(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[SavingCloud]:
    """No service yet."""
    async with saving_cloud(system_bus, own_store, tmp_path) as saving:
        yield saving


@pytest.fixture
async def saving(bare: SavingCloud) -> SavingCloud:
    """A scheduler, a gateway and a played node."""
    await bare.cloud.scheduler()
    await bare.ready()
    return bare


async def test_a_save_whose_message_was_lost_is_found(saving):
    vm = await saving.started()
    request = await saving.save_unheard(vm)
    refused = await saving.save_unheard("nobody")
    await saving.begun(request)
    assert (await saving.ended(refused)).status.failure.message == "instance not found"


async def test_an_order_that_was_lost_is_repeated(saving):
    saving.agent.losing = 1
    vm = await saving.started()
    request = await saving.save(vm)
    await saving.begun(request)
    first, second = saving.agent.pushes[:2]
    assert (first.request_id, first.valid_until) == (second.request_id, second.valid_until)


async def test_a_report_that_was_lost_is_asked_for_again(saving):
    vm = await saving.started()
    request = await saving.save(vm)
    await saving.begun(request)
    await saving.agent.end_save(request, unheard=True, digest="sha256:new")
    document = await saving.ended(request)
    assert document.status.digest == "sha256:new"
    assert saving.agent.begun == [request]
    await saving.cloud.reaches([vm], "")


async def test_an_end_while_pushing_reaches_the_node_and_the_request(saving):
    vm = await saving.started()
    request = await saving.save(vm)
    await saving.begun(request)
    await saving.cloud.call("DELETE", "vm", {"id": vm})
    document = await saving.ended(request)
    assert document.status.failure.message == "instance was terminated"
    await saving.cloud.reaches([vm], "")
    assert {stop.instance_id for stop in saving.agent.stops} == {vm}


async def test_a_command_that_is_replayed_after_the_end_changes_nothing(saving):
    vm = await saving.started()
    request = await saving.save(vm)
    await saving.begun(request)
    await saving.agent.end_save(request, error="disk full")
    before = await saving.ended(request)
    await saving.cloud.reaches([vm], "Started")
    replay = SaveImage(request_id=request, instance_id=vm, tag="v9")
    await saving.cloud.bus.publish([say(replay)])
    later = await saving.save_unheard("nobody")
    await saving.ended(later)
    after = await saving.request(request)
    assert (after.status, after.status_revision) == (before.status, before.status_revision)
    assert await saving.cloud.state(vm) == "Started"
    assert len(saving.agent.pushes) == 1


async def test_a_request_that_the_gateway_has_ended_is_left_alone(saving):
    """A script that is no base64 ends a request before anybody is told of it."""
    document = an_ended_request("broken", timedelta())
    await saving.cloud.store.insert("image_requests", [document])
    wake_up = SaveImage(request_id="broken", instance_id="i", tag="v9")
    await saving.cloud.bus.publish([say(wake_up)])
    later = await saving.save_unheard("nobody")
    await saving.ended(later)
    assert await saving.request("broken") == document


async def test_ended_requests_are_removed_when_their_time_has_come(bare):
    untold = an_ended_request("untold", timedelta(days=9))
    event = EventHappened(
        kind=EventKind.IMAGE_SAVED,
        event_type=EventType.SYSTEM,
        sub_type="imageAction",
        subject="untold",
        at=untold.created,
    )
    kept = (
        an_ended_request("young", timedelta(days=6)),
        msgspec.structs.replace(untold, outbox=(say(event),)),
    )
    old = an_ended_request("old", timedelta(days=8))
    await bare.cloud.store.insert("image_requests", [old, *kept])
    await bare.cloud.scheduler()

    async def left():
        found = await bare.cloud.store.find("image_requests", ImageRequestDocument, {})
        return {document.id for document in found}

    await until(lambda: _equals(left, {"young", "untold"}))


async def _equals(question, wanted):
    return await question() == wanted


def an_ended_request(identity, age):
    then = datetime.now(UTC) - age
    return ImageRequestDocument(
        id=identity,
        created=then.replace(microsecond=0),
        spec=ImageSpec(instance_id="i", tag="v9", target_template_id="t"),
        status=ImageStatus(state=ImageState.ERROR, changed=then.replace(microsecond=0)),
    )
