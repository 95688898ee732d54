"""What every driver promises of images made of its VMs; one guest is booted and saved twice."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from contracts.artifacts import CONFIG_TYPE, DISK_TYPE, Descriptor, digest_of
from contracts.templates import TemplateRef
from contracts.vms import Overrides
from node_agent.drivers.port import HostFault, SavedImage, VmDriver, VmMissing, VmSpec
from tests.drivers import DriverUnderTest
from tests.images import MemorySource

NAME = "saved"
pytestmark = pytest.mark.timeout(300)  # a busy machine boots ten times slower than an idle one


def content(image: SavedImage, layer: Descriptor) -> bytes:
    file = image.files[layer.digest]
    return file.read_bytes() if isinstance(file, Path) else file


def published(source: MemorySource, image: SavedImage, tag: str) -> TemplateRef:
    """The image as a tag of ``source``."""
    for layer in image.layers:
        source.blobs[layer.digest] = content(image, layer)
    config = source.put(CONFIG_TYPE, msgspec.json.encode(image.config))
    ref = source.put_manifest("image", tag, config, list(image.layers))
    return msgspec.structs.replace(ref, suspended=image.config.saved is not None)


@dataclass
class Saved:
    """A guest that was suspended into an image, then woken up and stopped into another."""

    driver: VmDriver
    suspended: SavedImage
    repeated: SavedImage
    stopped: SavedImage
    statuses: list[str]


@pytest.fixture(scope="module")
async def saved(driver_under_test: DriverUnderTest) -> AsyncIterator[Saved]:
    driver = await driver_under_test.ready()
    await driver.clone(driver_under_test.spec(NAME))
    await driver.start(NAME)
    statuses = []

    async def note(image: SavedImage) -> SavedImage:
        statuses.append((await driver.info(NAME)).status)
        return image

    suspended = await note(await driver.save(NAME, suspend=True, test=True))
    repeated = await note(await driver_under_test.make().save(NAME, suspend=True))
    statuses.append((await driver.start(NAME)).status)
    stopped = await note(await driver.save(NAME, suspend=False))
    yield Saved(driver, suspended, repeated, stopped, statuses)
    await driver.delete(NAME)


async def test_a_saved_vm_stays_suspended_or_stopped_and_wakes_up(saved: Saved) -> None:
    assert saved.statuses == ["suspended", "suspended", "running", "stopped"]


async def test_every_layer_is_what_its_descriptor_says(saved: Saved) -> None:
    for image in (saved.suspended, saved.stopped):
        assert image.layers
        for layer in image.layers:
            held = content(image, layer)
            assert (digest_of(held), len(held)) == (layer.digest, layer.size)


async def test_only_a_suspended_image_has_a_state_and_says_what_it_needs(saved: Saved) -> None:
    assert saved.suspended.config.saved
    assert saved.suspended.config.saved.machine
    assert saved.suspended.layers[-1].media_type.startswith("application/vnd.corral.state")
    assert saved.stopped.config.saved is None
    assert saved.stopped.layers[-1].media_type != saved.suspended.layers[-1].media_type


async def test_a_save_that_is_repeated_is_the_same_image_until_the_vm_runs_again(
    saved: Saved,
) -> None:
    assert saved.repeated == saved.suspended
    disks = [layer for layer in saved.stopped.layers if layer.media_type == DISK_TYPE]
    before = [layer for layer in saved.suspended.layers if layer.media_type == DISK_TYPE]
    assert disks[-1] != before[-1]


async def test_an_image_is_a_tag_like_any_other(
    driver_under_test: DriverUnderTest, saved: Saved
) -> None:
    """A suspended one goes on, unless the wish is for other hardware."""
    driver = saved.driver
    ref = published(driver_under_test.source, saved.suspended, "v2")
    await driver.pull(ref, driver_under_test.source, lambda _: None)
    spec = msgspec.structs.replace(driver_under_test.spec("of-image"), template=ref)
    assert await cloned(driver, spec) == "suspended"
    assert (await driver.start("of-image")).status == "running"
    await driver.delete("of-image")
    ram = saved.suspended.config.ram_mb
    for wish in (Overrides(vcpu=2), Overrides(vram=ram + 64)):
        assert await cloned(driver, msgspec.structs.replace(spec, overrides=wish)) == "stopped"
        await driver.delete("of-image")


async def cloned(driver: VmDriver, spec: VmSpec) -> str:
    await driver.clone(spec)
    return (await driver.info(spec.name)).status


async def test_what_does_not_run_cannot_be_suspended(
    driver_under_test: DriverUnderTest, saved: Saved
) -> None:
    await saved.driver.clone(driver_under_test.spec("new"))
    with pytest.raises(HostFault):
        await saved.driver.save("new", suspend=True)
    await saved.driver.delete("new")
    with pytest.raises(VmMissing):
        await saved.driver.save("nobody", suspend=True)
