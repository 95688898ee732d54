"""Content that a disk has lost or cut short: said by name, and made good by the next push."""

import msgspec
import pytest

from contracts.artifacts import Manifest, digest_of, template_id_of
from tests.registries import describe, push, qcow2

CONFIG = "application/vnd.other"


def file_of(registry, digest):
    (file,) = [file for file in registry.blob_files() if file.name == digest.partition(":")[2]]
    return file


def cut_short(registry, digest):
    file = file_of(registry, digest)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1])


async def put(http, content):
    headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    async with http.put("/v2/a/manifests/v1", data=content, headers=headers) as response:
        return response.status, await response.text()


@pytest.fixture
async def manifest(client):
    """A manifest that could be put, as its layer is there."""
    for content in (b"{}", b"the layer"):
        await client.push_blob("a", digest_of(content), content)
    layers = (describe("application/octet-stream", b"the layer"),)
    return msgspec.json.encode(Manifest(config=describe(CONFIG, b"{}"), layers=layers))


async def test_a_blob_cut_short_is_named_by_whatever_refers_to_it(http, registry, manifest):
    digest = digest_of(b"the layer")
    cut_short(registry, digest)
    status, text = await put(http, manifest)
    assert status == 400
    assert "MANIFEST_INVALID" in text
    assert f"size: {digest} has 8 bytes, not 9" in text


async def test_a_blob_cut_short_is_unknown_until_it_is_pushed_again(
    http, registry, client, manifest
):
    digest = digest_of(b"the layer")
    cut_short(registry, digest)
    assert not await client.has_blob("a", digest)
    async with http.get(f"/v2/a/blobs/{digest}") as response:
        assert response.status == 404
    await client.push_blob("a", digest, b"the layer")
    async with http.get(f"/v2/a/blobs/{digest}") as response:
        assert await response.read() == b"the layer"
    assert (await put(http, manifest))[0] == 201


async def test_a_version_without_its_config_is_told_by_name(http, registry, client):
    await push(client, "a", "v1", [qcow2()])
    content = msgspec.json.decode(await client.manifest("a", "v1"), type=Manifest)
    file_of(registry, content.config.digest).unlink()
    async with http.get("/registry/vm/info", params={"id": template_id_of("a")}) as response:
        assert response.status == 200
        assert await response.json() == {
            "status": "FAIL",
            "message": f"The version's config is missing: {content.config.digest}",
        }


async def test_a_version_with_a_damaged_config_is_told_what_is_wrong(http, registry, client):
    await push(client, "a", "v1", [qcow2()])
    content = msgspec.json.decode(await client.manifest("a", "v1"), type=Manifest)
    cut_short(registry, content.config.digest)
    async with http.get("/registry/vm/info", params={"id": template_id_of("a")}) as response:
        answer = await response.json()
    assert answer["status"] == "FAIL"
    assert answer["message"].startswith("The version cannot be read: template config invalid:")
