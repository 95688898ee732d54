"""OCI Distribution 1.1, category Content Management: tags, manifests and blobs that go."""

import os

import pytest

from tests.oci import ABSENT, SHA512


async def test_a_deleted_tag_is_gone_and_its_manifest_stays(repository):
    pushed = await repository.tagged("v1", "v2")
    assert (await repository.ask("DELETE", "manifests/v1")).status == 202
    assert (await repository.ask("GET", "manifests/v1")).refused == (404, "MANIFEST_UNKNOWN")
    assert (await repository.ask("GET", "tags/list")).json["tags"] == ["v2"]
    for reference in ("v2", pushed["digest"]):
        assert (await repository.ask("GET", f"manifests/{reference}")).status == 200


async def test_a_deleted_manifest_is_gone_with_every_tag_on_it(repository):
    gone = await repository.tagged("v1", "also")
    await repository.tagged("v2", annotations={"other": "yes"})
    assert (await repository.ask("DELETE", f"manifests/{gone['digest']}")).status == 202
    for reference in ("v1", "also", gone["digest"]):
        answer = await repository.ask("GET", f"manifests/{reference}")
        assert answer.refused == (404, "MANIFEST_UNKNOWN")
    assert (await repository.ask("GET", "tags/list")).json["tags"] == ["v2"]


@pytest.mark.parametrize("reference", ["v2", ABSENT, SHA512])
async def test_a_manifest_that_is_not_there_cannot_be_deleted(repository, reference):
    await repository.tagged("v1")
    answer = await repository.ask("DELETE", f"manifests/{reference}")
    assert answer.refused == (404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("where", ["manifests/v1", f"manifests/{ABSENT}", f"blobs/{ABSENT}"])
async def test_nothing_of_a_repository_that_is_not_there_can_be_deleted(repository, where):
    assert (await repository.ask("DELETE", where)).refused[0] == 404


async def test_a_deleted_manifest_refers_to_nothing_any_more(repository):
    subject = await repository.tagged("v1")
    referrer = await repository.tagged(subject=subject)
    where = f"referrers/{subject['digest']}"
    assert len((await repository.ask("GET", where)).json["manifests"]) == 1
    await repository.ask("DELETE", f"manifests/{referrer['digest']}")
    assert (await repository.ask("GET", where)).json["manifests"] == []


async def test_referrers_outlive_their_subject(repository):
    subject = await repository.tagged("v1")
    await repository.tagged(subject=subject)
    await repository.ask("DELETE", f"manifests/{subject['digest']}")
    answer = await repository.ask("GET", f"referrers/{subject['digest']}")
    assert len(answer.json["manifests"]) == 1


async def test_a_deleted_manifest_may_be_pushed_again(repository):
    pushed = await repository.tagged("v1")
    await repository.ask("DELETE", f"manifests/{pushed['digest']}")
    assert await repository.tagged("v1") == pushed
    assert (await repository.ask("GET", "manifests/v1")).status == 200


async def test_a_deleted_blob_is_gone_here_and_stays_elsewhere(repository):
    content = os.urandom(100)
    blob = await repository.blob(content)
    other = repository.other()
    await other.blob(content)
    where = f"blobs/{blob['digest']}"
    assert (await repository.ask("DELETE", where)).status == 202
    assert (await repository.ask("GET", where)).refused == (404, "BLOB_UNKNOWN")
    assert (await other.ask("GET", where)).body == content


@pytest.mark.parametrize("digest", [ABSENT, SHA512])
async def test_a_blob_that_is_not_there_cannot_be_deleted(repository, digest):
    await repository.tagged("v1")
    assert (await repository.ask("DELETE", f"blobs/{digest}")).refused == (404, "BLOB_UNKNOWN")


async def test_a_blob_that_a_manifest_needs_cannot_be_deleted(repository):
    blob = await repository.blob(b"needed")
    await repository.put("v1", await repository.manifest(b"needed"))
    where = f"blobs/{blob['digest']}"
    assert (await repository.ask("DELETE", where)).refused == (405, "DENIED")
    assert (await repository.ask("GET", where)).body == b"needed"
    await repository.ask("DELETE", "manifests/v1")
    assert (await repository.ask("DELETE", where)).refused == (405, "DENIED")


async def test_a_blob_that_no_manifest_needs_any_more_can_be_deleted(repository):
    manifest = await repository.manifest(b"needed once")
    answer = await repository.put("v1", manifest)
    digest = answer.headers["Docker-Content-Digest"]
    await repository.ask("DELETE", f"manifests/{digest}")
    where = f"blobs/{manifest['layers'][0]['digest']}"
    assert (await repository.ask("DELETE", where)).status == 202
    assert (await repository.ask("HEAD", where)).status == 404
