"""OCI Distribution 1.1, category Push: manifests and indexes of any kind."""

import msgspec
import pytest

from tests.oci import (
    ABSENT,
    DOCKER,
    DOCKER_LIST,
    EMPTY,
    INDEX,
    LAYER,
    MANIFEST,
    SHA512,
    descriptor,
    digest_of,
    pieces,
)

OF_OTHERS = "application/vnd.example.thing.v1+json"
LIMIT = 4 << 20


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_a_pushed_manifest_can_be_pulled_from_its_location(repository, by):
    content = msgspec.json.encode(await repository.manifest(b"layer"))
    reference = "v1" if by == "tag" else digest_of(content)
    answer = await repository.put(reference, content)
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == digest_of(content)
    assert "OCI-Subject" not in answer.headers
    assert (await repository.ask("GET", answer.location)).body == content


async def test_a_manifest_by_digest_gets_no_tag(repository):
    await repository.tagged()
    assert (await repository.ask("GET", "tags/list")).json["tags"] == []


async def test_a_tag_moves_and_the_old_manifest_stays(repository):
    old = await repository.tagged("v1")
    new = await repository.tagged("v1", annotations={"number": "2"})
    assert (await repository.ask("GET", "manifests/v1")).body != b""
    answer = await repository.ask("HEAD", "manifests/v1")
    assert answer.headers["Docker-Content-Digest"] == new["digest"]
    assert (await repository.ask("HEAD", f"manifests/{old['digest']}")).status == 200


async def test_a_manifest_may_be_pushed_again(repository):
    assert await repository.tagged("v1") == await repository.tagged("v1")


@pytest.mark.parametrize("reference", [ABSENT, "sha256:" + "f" * 64])
async def test_a_manifest_under_another_digest_is_refused(repository, reference):
    answer = await repository.put(reference, await repository.manifest())
    assert answer.refused == (400, "DIGEST_INVALID")


async def test_a_manifest_under_an_algorithm_that_is_not_supported_is_refused(repository):
    answer = await repository.put(SHA512, await repository.manifest())
    assert answer.refused == (400, "UNSUPPORTED")


async def test_a_manifest_without_layers_is_a_manifest(repository):
    assert (await repository.put("v1", await repository.manifest())).status == 201


@pytest.mark.parametrize("part", ["config", "layers"])
async def test_a_manifest_whose_blob_is_not_there_is_refused(repository, part):
    manifest = await repository.manifest()
    lost = descriptor(b"never pushed", LAYER)
    manifest[part] = lost if part == "config" else [lost]
    answer = await repository.put("v1", manifest)
    assert answer.refused == (404, "MANIFEST_BLOB_UNKNOWN")
    assert lost["digest"] in answer.json["errors"][0]["message"]
    assert (await repository.ask("HEAD", "manifests/v1")).status == 404


async def test_a_blob_of_another_repository_does_not_count(repository):
    manifest = await repository.manifest(b"layer of the first")
    answer = await repository.other().put("v1", manifest)
    assert answer.refused == (404, "MANIFEST_BLOB_UNKNOWN")


async def test_a_manifest_that_lies_about_a_size_is_refused(repository):
    manifest = await repository.manifest(b"layer")
    manifest["layers"][0]["size"] = 4
    assert (await repository.put("v1", manifest)).refused == (400, "MANIFEST_INVALID")


async def test_a_layer_that_comes_from_elsewhere_need_not_be_here(repository):
    foreign = [
        descriptor(b"one", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        descriptor(b"two", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
    ]
    manifest = await repository.manifest(layers=foreign)
    assert (await repository.put("v1", manifest)).status == 201


@pytest.mark.parametrize("media_type", [MANIFEST, DOCKER, OF_OTHERS])
@pytest.mark.parametrize("said", [True, False])
async def test_manifests_of_any_media_type_keep_it(repository, media_type, said):
    manifest = await repository.manifest(b"layer", mediaType=media_type)
    if not said:
        del manifest["mediaType"]
    assert (await repository.put("v1", manifest, media_type)).status == 201
    answer = await repository.ask("GET", "manifests/v1")
    assert answer.headers["Content-Type"] == media_type
    assert answer.json == manifest


@pytest.mark.parametrize("media_type", [INDEX, DOCKER_LIST])
async def test_an_index_of_manifests_that_are_there_is_kept(repository, media_type):
    child = await repository.tagged()
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": [child]}
    assert (await repository.put("all", index, media_type)).status == 201
    answer = await repository.ask("GET", "manifests/all")
    assert (answer.headers["Content-Type"], answer.json) == (media_type, index)


async def test_an_index_of_a_manifest_that_is_not_there_is_refused(repository):
    child = await repository.tagged()
    lost = descriptor(b"{}", MANIFEST)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child, lost]}
    answer = await repository.put("all", index, INDEX)
    assert answer.refused == (404, "MANIFEST_BLOB_UNKNOWN")
    assert lost["digest"] in answer.json["errors"][0]["message"]


async def test_an_empty_index_is_an_index(repository):
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    assert (await repository.put("none", index, INDEX)).status == 201


async def test_parameters_of_the_content_type_are_ignored(repository):
    manifest = await repository.manifest()
    assert (await repository.put("v1", manifest, f"{MANIFEST}; charset=utf-8")).status == 201
    answer = await repository.ask("GET", "manifests/v1")
    assert answer.headers["Content-Type"] == MANIFEST


async def test_a_manifest_that_says_its_type_needs_no_content_type(repository):
    assert (await repository.put("v1", await repository.manifest(), "")).status == 201


@pytest.mark.parametrize("sent", [INDEX, "application/octet-stream"])
async def test_a_manifest_of_another_type_than_the_request_says_is_refused(repository, sent):
    answer = await repository.put("v1", await repository.manifest(), sent)
    assert answer.refused == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("media_type", ["", "text/html", "application/octet-stream"])
async def test_a_type_that_no_manifest_has_is_refused(repository, media_type):
    answer = await repository.put("v1", b'{"schemaVersion":2}', media_type)
    assert answer.refused == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"x"', b"\xff", b'{"schemaVersion":2}', b'{"schemaVersion":2,"config":{}}'],
)
async def test_what_is_no_manifest_is_refused(repository, content):
    assert (await repository.put("v1", content)).refused == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize(
    "change",
    [
        {"schemaVersion": 1},
        {"layers": [{"mediaType": LAYER, "digest": "nothing", "size": 1}]},
        {"layers": [{"mediaType": LAYER, "digest": SHA512, "size": 1}]},
        {"subject": {"mediaType": MANIFEST, "digest": "nothing", "size": 1}},
        {"annotations": {"number": 1}},
    ],
)
async def test_a_manifest_with_a_field_that_cannot_be_is_refused(repository, change):
    answer = await repository.put("v1", await repository.manifest(**change))
    assert answer.refused == (400, "MANIFEST_INVALID")


async def test_a_manifest_of_four_mebibytes_is_taken_and_a_larger_one_is_not(repository):
    manifest = await repository.manifest(annotations={"filling": ""})
    room = LIMIT - len(msgspec.json.encode(manifest))
    manifest["annotations"]["filling"] = "x" * room
    content = msgspec.json.encode(manifest)
    assert len(content) == LIMIT
    assert (await repository.put("full", content)).status == 201
    assert (await repository.ask("GET", "manifests/full")).body == content
    answer = await repository.put("more", content + b" ")
    assert answer.refused[0] == 413
    answer = await repository.ask("PUT", "manifests/more", data=pieces(content + b" "))
    assert answer.refused[0] == 413


@pytest.mark.parametrize("digest", [ABSENT, SHA512])
async def test_a_manifest_may_come_before_its_subject_and_the_answer_names_it(repository, digest):
    subject = {"mediaType": MANIFEST, "digest": digest, "size": 7}
    answer = await repository.put("sig", await repository.manifest(subject=subject))
    assert answer.status == 201
    assert answer.headers["OCI-Subject"] == digest


async def test_an_index_has_a_subject_too(repository):
    subject = await repository.tagged("v1")
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": subject}
    answer = await repository.put("sig", index, INDEX)
    assert answer.headers["OCI-Subject"] == subject["digest"]


async def test_an_artifact_may_have_the_empty_config(repository):
    fields = {"artifactType": "application/vnd.example.sbom.v1"}
    manifest = await repository.manifest(b"content", **fields)
    assert manifest["config"]["mediaType"] == EMPTY
    assert (await repository.put("v1", manifest)).status == 201


@pytest.mark.parametrize(
    "notes", [{"$set": "x"}, {"a.b": "\0"}, {"": ""}, {"a\0b": "x"}, {"ä": "日"}]
)
async def test_annotations_may_be_anything_that_is_text(repository, notes):
    subject = await repository.tagged("v1")
    pushed = await repository.tagged("notes", annotations=notes, subject=subject)
    answer = await repository.ask("GET", "manifests/notes")
    assert answer.json["annotations"] == notes
    (listed,) = (await repository.ask("GET", f"referrers/{subject['digest']}")).json["manifests"]
    assert (listed["digest"], listed["annotations"]) == (pushed["digest"], notes)
