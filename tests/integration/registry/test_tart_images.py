"""Images in the shape that ``tart push`` gives them are templates like ours."""

import os

import aiohttp
import msgspec
import pytest

from api_gateway.app import build
from api_gateway.config import Settings
from chassis.clock import SystemClock
from contracts.artifacts import CONFIG_TYPE as OUR_CONFIG
from contracts.artifacts import (
    DISK_TYPE,
    KERNEL_TYPE,
    TEMPLATE_TYPE,
    TemplateConfig,
    digest_of,
    template_id_of,
)
from contracts.templates import TemplateDocument
from corral.registry import RegistryError, pull_template
from registry.store import TEMPLATES
from tests.registries import push, push_parts, qcow2
from tests.waiting import until

CONFIG = "application/vnd.cirruslabs.tart.config.v1"
DISK_V1 = "application/vnd.cirruslabs.tart.disk.v1"
DISK_V2 = "application/vnd.cirruslabs.tart.disk.v2"
NVRAM = "application/vnd.cirruslabs.tart.nvram.v1"
STUB = ("application/vnd.oci.image.config.v1+json", b'{"architecture":"arm64","os":"darwin"}')
VM = {
    "version": 1,
    "os": "darwin",
    "arch": "arm64",
    "ecid": "YnBsaXN0",
    "hardwareModel": "YnBsaXN0",
    "cpuCountMin": 2,
    "cpuCount": 4,
    "memorySizeMin": 4294967296,
    "memorySize": 8589934592,
    "macAddress": "7a:65:e4:3f:b2:1c",
    "display": {"width": 1920, "height": 1200},
}
REPOSITORY = "cirruslabs/macos-base"
CHUNKS = [os.urandom(5000), bytes(100), os.urandom(3000)]
MADE = {
    "artifact_type": "",
    "annotations": {
        "org.cirruslabs.tart.uncompressed-disk-size": "50000000000",
        "org.cirruslabs.tart.upload-time": "2026-01-01T00:00:00Z",
    },
}


async def push_image(client, vm=VM, disk=DISK_V2, nvram=b"variables", tag="latest"):
    """One hole of the disk stands there twice, as it does in real images."""
    chunks = [CHUNKS[0], CHUNKS[1], CHUNKS[2], CHUNKS[1]]
    layers = [(CONFIG, msgspec.json.encode(vm)), *((disk, chunk) for chunk in chunks)]
    return await push_parts(client, REPOSITORY, tag, [*layers, (NVRAM, nvram)], STUB, **MADE)


async def body_of(http, path, **query):
    async with http.get(path, params=query) as response:
        answer = await response.json()
        assert answer["status"] == "OK", answer
        return answer["body"]


@pytest.mark.parametrize("disk", [DISK_V1, DISK_V2])
async def test_an_image_is_listed_with_its_repositorys_name_architecture_and_size(
    http, client, disk
):
    await push_image(client, disk=disk)
    (listed,) = await body_of(http, "/registry/v2/vm")
    size = sum(map(len, CHUNKS)) + len(msgspec.json.encode(VM)) + len(b"variables") + len(STUB[1])
    assert (listed["id"], listed["name"]) == (template_id_of(REPOSITORY), REPOSITORY)
    assert (listed["arch"], listed["size"]) == ("arm64", size)


async def test_an_image_shows_its_version_and_the_vm_it_makes(http, client, own_store):
    digest = await push_image(client)
    identity = template_id_of(REPOSITORY)
    (version,) = (await body_of(http, "/registry/v2/vm", id=identity))["versions"]
    assert (version["number"], version["tag"], version["nvram"]) == (0, "latest", "nvram")
    assert version["images"] == [digest_of(chunk) for chunk in reversed(CHUNKS)]
    assert (version["state_files"], version["state_file"]) == ([], "")
    info = await body_of(http, "/registry/vm/info", id=identity)
    assert (info["name"], info["cpu"], info["ram"]) == (REPOSITORY, {"cores": 4}, "8G")
    document = await own_store.get(TEMPLATES, TemplateDocument, identity)
    ref = document.ref(document.versions[0])
    assert (ref.arch, ref.cpu, ref.ram_mb, ref.suspended) == ("arm64", 4, 8192, False)
    assert (ref.repository, ref.digest) == (REPOSITORY, digest)


async def test_the_gateway_lists_images_of_both_kinds_as_the_registry_does(
    registry, http, client, own_store
):
    await push_image(client)
    await push(client, "ours", "v1", [qcow2()])
    settings = Settings(listen_port=0, metrics_port=0, registry_address=registry.address)
    gateway = build(settings, registry.bus, own_store, SystemClock())
    await gateway.start()
    try:
        async with aiohttp.ClientSession(gateway.address) as api:
            await until(lambda: ready(api))
            listed = await body_of(api, "/api/v1/registry/vm")
            assert {item["name"] for item in listed} == {REPOSITORY, "demo"}
            assert sorted_by_id(listed) == sorted_by_id(await body_of(http, "/registry/v2/vm"))
            for item in listed:
                shown = await body_of(api, "/api/v1/registry/vm", id=item["id"])
                assert shown == await body_of(http, "/registry/v2/vm", id=item["id"])
    finally:
        await gateway.stop()


async def ready(api):
    async with api.get("/readyz") as response:
        return response.status == 200


def sorted_by_id(listed):
    return sorted(listed, key=lambda item: item["id"])


async def test_an_image_pushed_again_is_the_next_version_of_the_same_template(http, client):
    await push_image(client)
    await push_image(client, nvram=b"others", tag="15.2")
    (listed,) = await body_of(http, "/registry/v2/vm")
    versions = (await body_of(http, "/registry/v2/vm", id=listed["id"]))["versions"]
    assert [(v["number"], v["tag"]) for v in versions] == [(0, "latest"), (1, "15.2")]


async def test_an_old_config_without_os_and_architecture_means_a_mac(http, client):
    vm = {name: value for name, value in VM.items() if name not in ("os", "arch", "display")}
    await push_image(client, vm)
    (listed,) = await body_of(http, "/registry/v2/vm")
    assert listed["arch"] == "arm64"


async def test_an_image_with_its_config_in_the_place_of_the_stub_is_one_too(http, client):
    layers = [(DISK_V2, CHUNKS[0]), (NVRAM, b"variables")]
    config = (CONFIG, msgspec.json.encode(VM))
    await push_parts(client, REPOSITORY, "latest", layers, config, **MADE)
    (listed,) = await body_of(http, "/registry/v2/vm")
    assert listed["name"] == REPOSITORY


@pytest.mark.parametrize(
    ("vm", "reason"),
    [
        (VM | {"arch": "ppc"}, "arch"),
        (VM | {"cpuCount": 0}, "cpu"),
        (VM | {"memorySize": 0}, "ram_mb"),
        ({"version": 1}, "cpuCount"),
        ([], "config invalid"),
    ],
)
async def test_an_image_with_a_config_that_makes_no_vm_is_refused(http, client, vm, reason):
    with pytest.raises(RegistryError, match=reason):
        await push_image(client, vm)
    assert await body_of(http, "/registry/v2/vm") == []


async def test_our_own_client_says_that_it_is_tarts_and_fetches_nothing(client, tmp_path):
    await push_image(client)
    with pytest.raises(RegistryError, match="is no template but has a"):
        await pull_template(client, REPOSITORY, "latest", tmp_path)
    assert list(tmp_path.glob("*.part")) == []


async def test_an_image_without_a_disk_is_refused(client):
    layers = [(CONFIG, msgspec.json.encode(VM)), (NVRAM, b"variables")]
    with pytest.raises(RegistryError, match="layers: a template needs"):
        await push_parts(client, REPOSITORY, "latest", layers, STUB, **MADE)


OURS = (OUR_CONFIG, msgspec.json.encode(TemplateConfig(name="ours")))
READS_THE_HOST = (DISK_TYPE, qcow2(backing=b"/etc/passwd"))


@pytest.mark.parametrize(
    ("config", "layers", "kind"),
    [
        (OURS, [READS_THE_HOST], ""),
        (OURS, [READS_THE_HOST], TEMPLATE_TYPE),
        (STUB, [READS_THE_HOST], ""),
        (OURS, [(DISK_V2, CHUNKS[0])], ""),
        (STUB, [(DISK_V2, CHUNKS[0])], TEMPLATE_TYPE),
        (STUB, [(DISK_V2, CHUNKS[0]), (KERNEL_TYPE, b"kernel")], ""),
    ],
)
async def test_what_is_half_an_image_and_half_ours_is_refused(http, client, config, layers, kind):
    """Nodes would take its disks for checked, whose chain no rule for images covers."""
    parts = [(CONFIG, msgspec.json.encode(VM)), *layers]
    with pytest.raises(RegistryError, match="of an image of tart") as caught:
        await push_parts(client, "a", "v1", parts, config, artifact_type=kind)
    assert caught.value.code == "MANIFEST_INVALID"
    assert not await client.has_manifest("a", "v1")
