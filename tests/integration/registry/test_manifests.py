import msgspec
import pytest

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    Manifest,
    TemplateConfig,
    digest_of,
    reference_of,
)
from tests.registries import describe, push, qcow2, qcow2_over


async def test_any_other_artifact_is_stored_but_is_no_template(http, client):
    await client.push_blob("charts/x", digest_of(b"{}"), b"{}")
    manifest = Manifest(config=describe("application/vnd.other", b"{}"), layers=())
    await client.push_manifest("charts/x", "v1", msgspec.json.encode(manifest))
    assert await client.has_manifest("charts/x", "v1")
    async with http.get("/registry/v2/vm") as response:
        assert (await response.json())["body"] == []


async def test_a_template_pushed_without_artifact_type_is_known_by_its_config(http, client):
    config, layer = msgspec.json.encode(TemplateConfig(name="old")), qcow2()
    for content in (config, layer):
        await client.push_blob("a", digest_of(content), content)
    manifest = Manifest(config=describe(CONFIG_TYPE, config), layers=(describe(DISK_TYPE, layer),))
    await client.push_manifest("a", "v1", msgspec.json.encode(manifest))
    assert await tags_of_only_template(http) == ["v1"]


async def test_a_tag_that_stops_to_be_a_template_takes_its_version_with_it(http, client):
    await push(client, "a", "v1", [qcow2()])
    await client.push_blob("a", digest_of(b"{}"), b"{}")
    manifest = Manifest(config=describe("application/vnd.other", b"{}"), layers=())
    await client.push_manifest("a", "v1", msgspec.json.encode(manifest))
    async with http.get("/registry/v2/vm") as response:
        assert (await response.json())["body"] == []


async def test_deleting_a_tag_keeps_the_manifest_and_drops_the_version(http, client):
    layer = qcow2()
    digest = await push(client, "a", "v1", [layer])
    await push(client, "a", "v2", [layer, qcow2_over(layer)])
    async with http.delete("/v2/a/manifests/v1") as response:
        assert response.status == 202
    assert not await client.has_manifest("a", "v1")
    assert await client.has_manifest("a", digest)
    assert await tags_of_only_template(http) == ["v2"]


async def test_deleting_a_manifest_takes_every_tag_on_it(http, client):
    layer = qcow2()
    digest = await push(client, "a", "v1", [layer])
    await client.push_manifest("a", "also", await client.manifest("a", digest))
    await push(client, "a", "v2", [layer, qcow2_over(layer)])
    async with http.delete(f"/v2/a/manifests/{digest}") as response:
        assert response.status == 202
    async with http.delete(f"/v2/a/manifests/{digest}") as response:
        assert response.status == 404
    async with http.get("/v2/a/tags/list") as response:
        assert (await response.json())["tags"] == ["v2"]
    assert await tags_of_only_template(http) == ["v2"]


@pytest.mark.parametrize("tag", ["base:port-forward-22", "a+b c", "日本語", "x" * 200, ".hidden"])
async def test_a_tag_that_oci_does_not_allow_keeps_its_name(http, client, tag):
    await push(client, "a", tag, [qcow2()])
    assert await tags_of_only_template(http) == [tag]
    async with http.get("/v2/a/tags/list") as response:
        assert (await response.json())["tags"] == [reference_of(tag)]


async def tags_of_only_template(http):
    async with http.get("/registry/v2/vm") as response:
        (template,) = (await response.json())["body"]
    async with http.get("/registry/v2/vm", params={"id": template["id"]}) as response:
        return [version["tag"] for version in (await response.json())["body"]["versions"]]
