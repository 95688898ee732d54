import msgspec
import pytest

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    TEMPLATE_TYPE,
    Descriptor,
    Manifest,
    TemplateConfig,
    digest_of,
    reference_of,
)
from corral.registry import RegistryError
from tests.registries import describe, push, qcow2

PARENT = b"a" * 64 + b".qcow2"


async def test_a_manifest_comes_back_byte_for_byte_by_tag_and_by_digest(http, client):
    digest = await push(client, "team/base", "v1", [qcow2()])
    by_tag = await client.manifest("team/base", "v1")
    assert by_tag == await client.manifest("team/base", digest)
    assert digest_of(by_tag) == digest
    async with http.head("/v2/team/base/manifests/v1") as response:
        assert response.headers["Docker-Content-Digest"] == digest
        assert response.headers["Content-Type"] == MANIFEST_TYPE
        assert response.content_length == len(by_tag)


async def test_a_manifest_put_under_another_digest_is_refused(http):
    wrong = "/v2/a/manifests/" + digest_of(b"other")
    async with http.put(wrong, data=b'{"schemaVersion":2}') as response:
        assert response.status == 400


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"schemaVersion":2}', b'{"schemaVersion":2,"config":{}}'],
)
async def test_what_is_no_manifest_is_refused(http, content):
    headers = {"Content-Type": MANIFEST_TYPE}
    async with http.put("/v2/a/manifests/v1", data=content, headers=headers) as response:
        body = msgspec.json.decode(await response.read())
        assert (response.status, body["errors"][0]["code"]) == (400, "MANIFEST_INVALID")


async def test_a_manifest_over_the_limit_is_refused(http):
    async with http.put("/v2/a/manifests/v1", data=chunks(5 << 20)) as response:
        assert response.status == 413


async def chunks(count):
    for _ in range(count >> 16):
        yield bytes(1 << 16)


async def test_a_manifest_whose_blob_is_not_there_is_refused(client):
    layer = qcow2()
    config = msgspec.json.encode(TemplateConfig(name="demo"))
    await client.push_blob("a", digest_of(config), config)
    manifest = Manifest(config=describe(CONFIG_TYPE, config), layers=(describe(DISK_TYPE, layer),))
    with pytest.raises(RegistryError, match=digest_of(layer)) as caught:
        await client.push_manifest("a", "v1", msgspec.json.encode(manifest))
    assert caught.value.code == "MANIFEST_BLOB_UNKNOWN"


async def test_a_manifest_that_lies_about_a_size_is_refused(client):
    await client.push_blob("a", digest_of(b"{}"), b"{}")
    lie = Descriptor(media_type=CONFIG_TYPE, digest=digest_of(b"{}"), size=3)
    with pytest.raises(RegistryError, match="has 2 bytes, not 3"):
        await client.push_manifest("a", "v1", msgspec.json.encode(Manifest(config=lie, layers=())))


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([b"MZ" * 1000], "is not a qcow2 image"),
        ([qcow2(features=1 << 2)], "external file"),
        ([qcow2(), qcow2(backing=b"/etc/passwd")], "bare file name"),
        ([qcow2(backing=PARENT)], "base layer"),
    ],
)
async def test_a_template_with_a_bad_layer_is_refused_and_no_tag_appears(
    http, client, layers, reason
):
    with pytest.raises(RegistryError, match=reason) as caught:
        await push(client, "a", "v1", layers)
    assert caught.value.code == "MANIFEST_INVALID"
    assert not await client.has_manifest("a", "v1")
    async with http.get("/registry/v2/vm") as response:
        assert (await response.json())["body"] == []


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"[]", "config invalid"),
        (b'{"name":"x","arch":"mips"}', "arch must be"),
        (b'{"name":""}', "must be set"),
        (b'{"name":"x","cpu":"two"}', "cpu"),
    ],
)
async def test_a_template_with_a_bad_config_is_refused(client, config, reason):
    await client.push_blob("a", digest_of(config), config)
    manifest = Manifest(
        artifact_type=TEMPLATE_TYPE, config=describe(CONFIG_TYPE, config), layers=()
    )
    with pytest.raises(RegistryError, match=reason):
        await client.push_manifest("a", "v1", msgspec.json.encode(manifest))


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


async def test_an_index_needs_its_manifests(http, client):
    digest = await push(client, "a", "v1", [qcow2()])
    size = len(await client.manifest("a", digest))
    child = {"mediaType": MANIFEST_TYPE, "digest": digest, "size": size}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [child]}
    headers = {"Content-Type": INDEX_TYPE}
    async with http.put("/v2/a/manifests/all", json=index, headers=headers) as response:
        assert response.status == 201
    async with http.put("/v2/b/manifests/all", json=index, headers=headers) as response:
        assert response.status == 404


async def test_tags_are_listed_in_order_and_in_pages(http, client):
    layer = qcow2()
    for tag in ("b", "a", "c", "B", "10", "9"):
        await push(client, "a", tag, [layer])
    everything = ["10", "9", "B", "a", "b", "c"]
    async with http.get("/v2/a/tags/list") as response:
        assert await response.json() == {"name": "a", "tags": everything}
    seen, where = [], "/v2/a/tags/list?n=4"
    while where:
        async with http.get(where) as response:
            seen.append((await response.json())["tags"])
            where = response.links["next"]["url"].path_qs if response.links else ""
    assert seen == [everything[:4], everything[4:]]
    async with http.get("/v2/a/tags/list?n=0") as response:
        assert (await response.json())["tags"] == []
    async with http.get("/v2/a/tags/list?n=x") as response:
        assert response.status == 400


async def test_deleting_a_tag_keeps_the_manifest_and_drops_the_version(http, client):
    layer = qcow2()
    digest = await push(client, "a", "v1", [layer])
    await push(client, "a", "v2", [layer, qcow2(backing=PARENT)])
    async with http.delete("/v2/a/manifests/v1") as response:
        assert response.status == 202
    assert not await client.has_manifest("a", "v1")
    assert await client.has_manifest("a", digest)
    assert await tags_of_only_template(http) == ["v2"]


async def test_deleting_a_manifest_takes_every_tag_on_it(http, client):
    layer = qcow2()
    digest = await push(client, "a", "v1", [layer])
    await client.push_manifest("a", "also", await client.manifest("a", digest))
    await push(client, "a", "v2", [layer, qcow2(backing=PARENT)])
    async with http.delete(f"/v2/a/manifests/{digest}") as response:
        assert response.status == 202
    async with http.delete(f"/v2/a/manifests/{digest}") as response:
        assert response.status == 404
    async with http.get("/v2/a/tags/list") as response:
        assert (await response.json())["tags"] == ["v2"]
    assert await tags_of_only_template(http) == ["v2"]


async def test_referrers_of_a_manifest_are_listed(http, client):
    digest = await push(client, "a", "v1", [qcow2()])
    await client.push_blob("a", digest_of(b"{}"), b"{}")
    size = len(await client.manifest("a", digest))
    subject = {"mediaType": MANIFEST_TYPE, "digest": digest, "size": size}
    signature = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": "application/vnd.signature",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}")}
        | {"size": 2},
        "layers": [],
        "subject": subject,
        "annotations": {"who": "me"},
    }
    headers = {"Content-Type": MANIFEST_TYPE}
    async with http.put("/v2/a/manifests/sig", json=signature, headers=headers) as response:
        assert response.headers["OCI-Subject"] == digest
    async with http.get(f"/v2/a/referrers/{digest}") as response:
        assert response.content_type == INDEX_TYPE
        (found,) = msgspec.json.decode(await response.read())["manifests"]
    assert found["artifactType"] == "application/vnd.signature"
    assert found["annotations"] == {"who": "me"}
    async with http.get(f"/v2/a/referrers/{digest}?artifactType=other") as response:
        assert response.headers["OCI-Filters-Applied"] == "artifactType"
        assert msgspec.json.decode(await response.read())["manifests"] == []


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
