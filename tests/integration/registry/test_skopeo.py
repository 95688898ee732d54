"""skopeo, the Debian package: an image in and out, looked at, listed and deleted."""

import asyncio
import gzip
import io
import json
import tarfile

import msgspec
import pytest

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    TEMPLATE_TYPE,
    TemplateConfig,
    digest_of,
)
from tests.registries import push, push_parts, qcow2

IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


async def run(verb, *arguments, expect=0):
    process = await asyncio.create_subprocess_exec(
        *("skopeo", "--insecure-policy", verb, *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == expect, err.decode()
    return out.decode() if expect == 0 else err.decode()


class Layout:
    """An image as a folder in the OCI layout, with one small layer."""

    def __init__(self, folder, arch="amd64"):
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("hello"), io.BytesIO())
        config = {
            "architecture": arch,
            "os": "linux",
            "config": {"Labels": {"who": "test"}},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(packed.getvalue())]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self._put(IMAGE_CONFIG, json.dumps(config).encode()),
            "layers": [self._put(LAYER, gzip.compress(packed.getvalue(), mtime=0))],
        }
        self.described = self._put(MANIFEST_TYPE, json.dumps(manifest).encode())
        index = {"schemaVersion": 2, "manifests": [self.described]}
        (folder / "index.json").write_text(json.dumps(index))

    @property
    def blobs(self):
        """Every blob, by name."""
        return {file.name: file.read_bytes() for file in (self.folder / "blobs/sha256").iterdir()}

    def _put(self, media_type, content):
        digest = digest_of(content)
        (self.folder / "blobs" / digest.replace(":", "/")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}


@pytest.fixture
def image(tmp_path):
    return Layout(tmp_path / "image")


@pytest.fixture
def docker(registry, skopeo):
    """The registry's address as skopeo writes it."""
    return registry.address.replace("http://", "docker://")


async def copy_in(image, target, *options):
    await run("copy", "--dest-tls-verify=false", *options, f"oci:{image.folder}", target)


async def test_an_image_goes_in_and_comes_out_the_same(docker, image, tmp_path):
    await copy_in(image, f"{docker}/team/hello:v1")
    out = tmp_path / "out"
    await run("copy", "--src-tls-verify=false", f"{docker}/team/hello:v1", f"oci:{out}")
    assert {
        file.name: file.read_bytes() for file in (out / "blobs/sha256").iterdir()
    } == image.blobs


async def test_an_image_is_inspected_listed_and_deleted(docker, image, http):
    for tag in ("v2", "v1"):
        await copy_in(image, f"{docker}/hello:{tag}")
    plain = "--tls-verify=false"
    shown = json.loads(await run("inspect", plain, f"{docker}/hello:v1"))
    assert (shown["Digest"], shown["Architecture"]) == (image.described["digest"], "amd64")
    assert (shown["Labels"], shown["RepoTags"]) == ({"who": "test"}, ["v1", "v2"])
    listed = json.loads(await run("list-tags", plain, f"{docker}/hello"))
    assert listed["Tags"] == ["v1", "v2"]
    await run("delete", plain, f"{docker}/hello:v1")
    said = await run("inspect", plain, f"{docker}/hello:v1", expect=1)
    assert "manifest unknown" in said
    async with http.get("/v2/hello/tags/list") as response:
        assert response.status == 404  # it deletes by digest, and nothing else was there


async def test_an_image_becomes_dockers_kind_and_comes_back(docker, image, tmp_path, http):
    await copy_in(image, f"{docker}/hello:docker", "--format", "v2s2")
    async with http.head("/v2/hello/manifests/docker") as response:
        kind = response.headers["Content-Type"]
    assert kind == "application/vnd.docker.distribution.manifest.v2+json"
    out = tmp_path / "out"
    await run("copy", "--src-tls-verify=false", f"{docker}/hello:docker", f"dir:{out}")
    assert json.loads((out / "manifest.json").read_text())["mediaType"] == kind


async def test_images_of_two_architectures_travel_as_one_index(docker, tmp_path, http):
    images = [Layout(tmp_path / arch, arch) for arch in ("amd64", "arm64")]
    for image in images:
        await copy_in(image, f"{docker}/hello@{image.described['digest']}")
    described = [
        image.described | {"platform": {"architecture": image.folder.name, "os": "linux"}}
        for image in images
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": described}
    headers = {"Content-Type": INDEX_TYPE}
    async with http.put("/v2/hello/manifests/all", json=index, headers=headers) as response:
        assert response.status == 201
    both = ("--src-tls-verify=false", "--dest-tls-verify=false")
    await run("copy", "--all", *both, f"{docker}/hello:all", f"{docker}/other/hello:all")
    async with http.get("/v2/other/hello/manifests/all") as response:
        copied = msgspec.json.decode(await response.read())
    assert copied == index


async def test_a_template_is_copied_to_another_repository_and_is_one_there(docker, client, http):
    layer = qcow2()
    pushed = await push(client, "first", "v1", [layer], TemplateConfig(name="copied"))
    both = ("--src-tls-verify=false", "--dest-tls-verify=false")
    await run("copy", *both, f"{docker}/first:v1", f"{docker}/second:v1")
    async with http.head("/v2/second/manifests/v1") as response:
        assert response.headers["Docker-Content-Digest"] == pushed
    async with http.get("/registry/v2/vm") as response:
        assert [item["name"] for item in (await response.json())["body"]] == ["copied"] * 2


async def test_a_template_goes_out_into_a_folder_and_comes_back(docker, client, http, tmp_path):
    config = (CONFIG_TYPE, msgspec.json.encode(TemplateConfig(name="kept")))
    pushed = await push_parts(client, "first", "v1", [(DISK_TYPE, qcow2())], config)
    folder = f"dir:{tmp_path / 'kept'}"
    await run("copy", "--src-tls-verify=false", f"{docker}/first:v1", folder)
    async with http.delete(f"/v2/first/manifests/{pushed}") as response:
        assert response.status == 202
    await run("copy", "--dest-tls-verify=false", folder, f"{docker}/first:v1")
    manifest = msgspec.json.decode(await client.manifest("first", "v1"))
    assert (digest_of(await client.manifest("first", "v1")), manifest["artifactType"]) == (
        pushed,
        TEMPLATE_TYPE,
    )
