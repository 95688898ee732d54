"""A VM becomes an image in a registry, or runs on and says why not."""

import msgspec
import pytest

from contracts.artifacts import DISK_TYPE, STATE_TYPE, TemplateConfig
from contracts.images import ImagePushed
from contracts.vms import Script, VmGone, VmPhase
from tests.agent_world import AgentWorld
from tests.clock import settle
from tests.oci_registry import FakeRegistry
from tests.waiting import until


async def status(world: AgentWorld) -> str:
    return (await world.driver.info(world.vm().record.vm_name)).status


def verbs(world: AgentWorld) -> list[str]:
    """What was done to the VM after its start."""
    return [line.verb for line in world.history()][2:]


def config_of(registry: FakeRegistry) -> TemplateConfig:
    manifest = registry.manifest("image", "saved")
    held = registry.blobs["image"][manifest.config.digest]
    return msgspec.json.decode(held, type=TemplateConfig)


@pytest.mark.parametrize("suspend", [True, False])
async def test_a_running_vm_becomes_a_tag_and_stays_as_it_was_saved(
    world: AgentWorld, registry: FakeRegistry, suspend: bool
):
    await world.start()
    started = await world.started()
    await world.order(world.push_image(registry.address, suspend=suspend, description="what for"))
    pushed = await world.heard(ImagePushed)
    assert (pushed.error, pushed.request_id, pushed.attempt) == ("", "r-1", 1)
    manifest = registry.manifest("image", "saved")
    kinds = [layer.media_type for layer in manifest.layers]
    assert kinds == ([DISK_TYPE, STATE_TYPE] if suspend else [DISK_TYPE])
    config = config_of(registry)
    assert (config.name, config.description) == ("An image", "what for")
    assert (config.cpu, config.ram_mb) == (2, 2048)
    assert (config.saved is not None) == suspend
    if config.saved:
        assert config.saved.mac_address == started.info.mac_address
    assert await status(world) == ("suspended" if suspend else "stopped")
    line = (await world.beat()).vms[0]
    assert (line.phase, line.saving) == (VmPhase.STOPPED, "")
    [cached] = [t for t in await world.driver.templates() if t.id == "image"]
    assert (cached.tag, cached.digest) == ("saved", pushed.digest)


async def test_a_heartbeat_tells_what_is_being_saved_and_how_far(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    registry.open.clear()
    await world.order(world.push_image(registry.address))
    await until(lambda: ("POST", "/v2/image/blobs/uploads/") in registry.asked)
    line = (await world.beat()).vms[0]
    assert (line.phase, line.saving, line.progress) == (VmPhase.SAVING, "r-1", 0.0)
    assert not world.said(ImagePushed)
    registry.open.set()
    await world.heard(ImagePushed)


async def test_the_script_runs_first_and_its_result_is_told_whatever_it_is(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    script = Script(body=b"echo ready\nexit 3")
    await world.order(world.push_image(registry.address, script=script))
    pushed = await world.heard(ImagePushed)
    assert pushed.digest
    assert pushed.script_result
    assert (pushed.script_result.return_code, pushed.script_result.stdout) == (3, "ready\n")
    assert verbs(world) == ["script", "suspend"]


async def test_of_much_output_the_end_is_told(world: AgentWorld, registry: FakeRegistry):
    await world.start()
    await world.started()
    script = Script(body=b"echo " + b"x" * (1 << 20) + b"\necho the end")
    await world.order(world.push_image(registry.address, script=script))
    result = (await world.heard(ImagePushed)).script_result
    assert result
    assert len(result.stdout) == 1 << 20
    assert result.stdout.endswith("x\nthe end\n")


async def test_a_registry_that_is_away_for_a_while_fails_no_push(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    await registry.stop()
    await world.order(world.push_image(registry.address))
    await until(lambda: "suspend" in verbs(world))
    await settle()
    await registry.start()
    assert (await world.heard(ImagePushed)).digest


async def test_blobs_that_vanish_before_the_manifest_are_pushed_again(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    registry.forgets = 1
    await world.order(world.push_image(registry.address))
    assert (await world.heard(ImagePushed)).digest
    assert len(registry.pushed()) == 2 * len(set(registry.pushed())) == 6


@pytest.mark.parametrize("there", [True, False])
async def test_the_version_to_revert_goes_just_before_the_push_and_may_be_gone_already(
    world: AgentWorld, registry: FakeRegistry, there: bool
):
    """Its revert may take blobs along that the new version needs."""
    registry.versions = {"4"} if there else set()
    await world.start()
    await world.started()
    await world.order(world.push_image(registry.address, revert_number=4))
    assert (await world.heard(ImagePushed)).digest
    assert registry.reverted == [("image", "4")]
    methods = [method for method, path in registry.asked if path != "/v2/image/blobs/uploads/one"]
    put = methods.index("PUT")
    assert "DELETE" in methods[:put]


async def test_only_what_the_registry_lacks_is_pushed(world: AgentWorld, registry: FakeRegistry):
    """One blob is there, another can be had from the repository of the VM's template."""
    await world.start()
    await world.started()
    image = await world.driver.save(world.vm().record.vm_name, suspend=True)
    disk, state = (layer.digest for layer in image.layers)
    registry.blobs["base"][disk] = b"held by the template"
    registry.blobs["image"][state] = b"held by the image"
    await world.order(world.push_image(registry.address))
    assert (await world.heard(ImagePushed)).digest
    manifest = registry.manifest("image", "saved")
    assert registry.pushed() == [manifest.config.digest]
    assert registry.blobs["image"][disk] == b"held by the template"


async def test_a_request_that_is_known_is_answered_and_not_begun_again(
    world: AgentWorld, registry: FakeRegistry
):
    await world.start()
    await world.started()
    registry.open.clear()
    order = world.push_image(registry.address)
    await world.order(order)
    await until(lambda: registry.asked)
    await world.order(order)
    await settle()
    assert not world.said(ImagePushed)
    registry.open.set()
    first = await world.heard(ImagePushed)
    await world.order(order)
    second = await world.heard(ImagePushed, 2)
    assert second.digest == first.digest
    assert verbs(world) == ["suspend"]


async def test_a_saved_vm_is_thrown_away_by_a_stop(world: AgentWorld, registry: FakeRegistry):
    await world.start()
    await world.started()
    await world.order(world.push_image(registry.address))
    await world.heard(ImagePushed)
    await world.order(world.stop_vm())
    await world.heard(VmGone)
    assert await world.driver.list_vms() == []
