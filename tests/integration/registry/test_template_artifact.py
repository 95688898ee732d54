"""What is admitted as a template, and what of it the API shows."""

import msgspec
import pytest

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    INITRD_TYPE,
    KERNEL_TYPE,
    NVRAM_TYPE,
    STATE_TYPE,
    TemplateConfig,
    digest_of,
)
from contracts.templates import TemplateDocument
from corral.registry import RegistryError
from registry.store import TEMPLATES
from tests.registries import push, push_parts, qcow2, qcow2_over

BASE = qcow2(1000)
TOP = qcow2_over(BASE, 1000)
DISK = (DISK_TYPE, BASE)
CONFIG: dict = {"name": "full", "arch": "arm64", "cpu": 2, "ram_mb": 2048}
SAVED = {"machine": "pc-q35-7.2", "cpu": 2, "ram_mb": 2048, "mac_address": "52:54:00:12:34:56"}
PORT = {"name": "ssh", "guest_port": 22}


async def push_as(client, layers, config, repository="a"):
    raw = config if isinstance(config, bytes) else msgspec.json.encode(config)
    return await push_parts(client, repository, "v1", layers, (CONFIG_TYPE, raw))


async def templates(http):
    async with http.get("/registry/v2/vm") as response:
        return (await response.json())["body"]


async def test_everything_that_a_template_may_have_is_kept_and_shown(http, client, own_store):
    parts = [
        (DISK_TYPE, BASE),
        (DISK_TYPE, TOP),
        (KERNEL_TYPE, b"kernel"),
        (INITRD_TYPE, b"initrd"),
        (NVRAM_TYPE, b"variables"),
        (STATE_TYPE, b"memory"),
    ]
    config = CONFIG | {
        "machine": "q35",
        "cmdline": "console=ttyS0",
        "description": "all of it",
        "ports": [PORT | {"host_ip": "127.0.0.1", "host_port": 2222}],
        "network_mode": "shared",
        "display": {"width": 800, "height": 600},
        "saved": SAVED,
    }
    await push_as(client, parts, config)
    (listed,) = await templates(http)
    size = sum(len(content) for _, content in parts) + len(msgspec.json.encode(config))
    assert (listed["name"], listed["arch"], listed["size"]) == ("full", "arm64", size)
    async with http.get("/registry/v2/vm", params={"id": listed["id"]}) as response:
        (version,) = (await response.json())["body"]["versions"]
    assert version["images"] == [digest_of(TOP), digest_of(BASE)]
    assert version["state_files"] == [digest_of(b"memory")]
    assert version["state_file"] == digest_of(b"memory")
    assert (version["nvram"], version["description"]) == ("nvram", "all of it")
    document = await own_store.get(TEMPLATES, TemplateDocument, listed["id"])
    ref = document.ref(document.versions[0])
    assert (ref.suspended, ref.cpu, ref.ram_mb, ref.size) == (True, 2, 2048, size)


async def test_a_template_without_state_is_not_suspended_and_one_without_nvram_has_none(
    http, client, own_store
):
    await push_as(client, [DISK], CONFIG)
    (listed,) = await templates(http)
    document = await own_store.get(TEMPLATES, TemplateDocument, listed["id"])
    assert not document.ref(document.versions[0]).suspended
    assert document.versions[0].nvram == ""


async def test_the_size_of_a_template_counts_every_part_once(http, client):
    kernel = (KERNEL_TYPE, b"kernel" * 100)
    config = (CONFIG_TYPE, msgspec.json.encode(CONFIG))
    await push_parts(client, "a", "v1", [DISK, kernel], config)
    await push_parts(client, "a", "v2", [DISK, (DISK_TYPE, TOP), kernel], config)
    (listed,) = await templates(http)
    assert listed["size"] == len(BASE) + len(TOP) + len(kernel[1]) + len(config[1])


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([b"MZ" * 1000], "is not a qcow2 image"),
        ([qcow2(features=1 << 2)], "external file"),
        ([BASE, qcow2(backing=b"/etc/passwd")], "bare file name"),
        ([TOP], "base layer"),
        ([BASE, qcow2()], "must name the layer below it"),
        ([BASE, TOP, qcow2_over(BASE)], "must name the layer below it"),
        ([BASE, BASE], "twice"),
        ([], "needs a"),
    ],
)
async def test_a_template_with_a_bad_disk_is_refused_and_no_tag_appears(
    http, client, layers, reason
):
    with pytest.raises(RegistryError, match=f"layers: .*{reason}") as caught:
        await push(client, "a", "v1", layers)
    assert caught.value.code == "MANIFEST_INVALID"
    assert not await client.has_manifest("a", "v1")
    assert await templates(http) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ports": [PORT, {"name": "", "guest_port": 1}]}, r"config invalid: ports\[1\]\.name"),
        ({"cpu": "two"}, r"config invalid: .*\$\.cpu"),
        ({"saved": None}, "config invalid: saved"),
    ],
)
async def test_a_bad_config_is_refused_by_the_name_of_its_field(client, change, reason):
    with pytest.raises(RegistryError, match=reason) as caught:
        await push_as(client, [DISK, (STATE_TYPE, b"memory")], CONFIG | {"saved": SAVED} | change)
    assert caught.value.code == "MANIFEST_INVALID"
    assert not await client.has_manifest("a", "v1")


async def test_parts_that_do_not_go_together_are_refused(client):
    with pytest.raises(RegistryError, match=r"layers: .*initrd.* needs a .*kernel"):
        await push_as(client, [DISK, (INITRD_TYPE, b"initrd")], CONFIG)


async def test_a_config_too_large_to_be_one_is_refused(client):
    config = msgspec.json.encode(CONFIG | {"description": "x" * (1 << 20)})
    with pytest.raises(RegistryError, match=r"config\.size"):
        await push_as(client, [DISK], config)


async def test_a_template_with_the_config_of_something_else_is_refused(client):
    with pytest.raises(RegistryError, match=r"config\.mediaType"):
        await push_parts(client, "a", "v1", [DISK], ("application/vnd.other.v1+json", b"{}"))


@pytest.mark.parametrize(
    "tag", ["a+b", "base:port-forward-22", "a b", "ä/日本語", "x" * 200, "%2F"]
)
async def test_tags_of_any_name_are_shown_found_and_deleted_by_it(http, client, tag):
    config = TemplateConfig(name="named")
    digest = await push(client, "a", tag, [BASE], config)
    (listed,) = await templates(http)
    asked = {"id": listed["id"], "tag": tag}
    async with http.get("/registry/v2/vm", params=asked) as response:
        (version,) = (await response.json())["body"]["versions"]
    assert version["tag"] == tag
    async with http.get("/registry/vm/info", params=asked) as response:
        assert (await response.json())["body"]["name"] == "named"
    async with http.get("/v2/a/tags/list") as response:
        (reference,) = (await response.json())["tags"]
    async with http.head(f"/v2/a/manifests/{reference}") as response:
        assert response.headers["Docker-Content-Digest"] == digest
    async with http.delete(f"/v2/a/manifests/{reference}") as response:
        assert response.status == 202
    assert await templates(http) == []
