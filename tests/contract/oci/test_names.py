"""OCI Distribution 1.1: which names repositories and tags may have."""

import uuid

import pytest

from tests.oci import ABSENT


@pytest.mark.parametrize(
    "shape",
    [
        "{}",
        "a/{}",
        "0/1/2/{}",
        "a.b_c__d-e---f/{}",
        "{}/blobs/uploads",
        "{}/manifests/v1",
        "{}/tags/list",
        "{}/blobs/sha256",
        "{}/referrers",
    ],
)
async def test_a_repository_may_have_any_name_of_the_grammar(repository, shape):
    named = repository.other(shape.format(uuid.uuid4().hex))
    pushed = await named.tagged("v1")
    assert (await named.ask("GET", "manifests/v1")).status == 200
    assert (await named.ask("GET", "tags/list")).json == {"name": named.name, "tags": ["v1"]}
    assert (await named.ask("GET", f"referrers/{pushed['digest']}")).status == 200
    assert (await named.ask("DELETE", "manifests/v1")).status == 202


async def test_a_repository_name_may_have_255_characters_and_no_more(repository):
    longest = repository.other(uuid.uuid4().hex + "/" + "a" * 222)
    await longest.tagged("v1")
    answer = await repository.other(longest.name + "a").ask("POST", "blobs/uploads/")
    assert answer.refused == (400, "NAME_INVALID")


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "a/B",
        "-a",
        "a-",
        ".a",
        "a.",
        "_a",
        "a..b",
        "a___b",
        "a.-b",
        "a//b",
        "a/",
        "ä",
        "a b",
        "a+b",
    ],
)
async def test_a_repository_may_have_no_other_name(repository, name):
    named = repository.other(name)
    assert (await named.ask("POST", "blobs/uploads/")).refused == (400, "NAME_INVALID")
    assert (await named.ask("GET", f"blobs/{ABSENT}")).refused == (400, "NAME_INVALID")
    assert (await named.put("v1", {"schemaVersion": 2})).refused == (400, "NAME_INVALID")


@pytest.mark.parametrize("tag", ["v1", "0", "_", "A.b-c_d", "a..b", "latest-", "x" * 128])
async def test_a_tag_may_have_any_name_of_the_grammar(repository, tag):
    await repository.tagged(tag)
    assert (await repository.ask("GET", f"manifests/{tag}")).status == 200
    assert (await repository.ask("GET", "tags/list")).json["tags"] == [tag]


@pytest.mark.parametrize("tag", [".a", "-a", "a+b", "a%20b", "%C3%A4", "x" * 129, "sha256:zz"])
async def test_a_tag_may_have_no_other_name(repository, tag):
    manifest = await repository.manifest()
    assert (await repository.put(tag, manifest)).refused == (400, "MANIFEST_INVALID")
    assert (await repository.ask("GET", f"manifests/{tag}")).refused == (404, "MANIFEST_UNKNOWN")
