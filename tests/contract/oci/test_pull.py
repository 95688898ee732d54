"""OCI Distribution 1.1, category Pull: manifests, blobs, and whether they exist."""

import os

import msgspec
import pytest

from tests.oci import ABSENT, EMPTY, MANIFEST, SHA512, digest_of

CONTENT = bytes(range(256)) * 40


async def test_the_root_says_that_the_specification_is_implemented(repository):
    assert (await repository.ask("GET", repository.root)).status == 200


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_a_manifest_comes_back_byte_for_byte_with_type_and_digest(repository, by):
    config = msgspec.json.encode(await repository.blob(b"{}", EMPTY))
    content = b'{ "schemaVersion" :2,\n"config":%s,"layers":[ ] }' % config
    await repository.put("v1", content)
    reference = "v1" if by == "tag" else digest_of(content)
    answer = await repository.ask("GET", f"manifests/{reference}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["Content-Type"] == MANIFEST
    assert answer.headers["Docker-Content-Digest"] == digest_of(content)


@pytest.mark.parametrize("by", ["tag", "digest"])
async def test_a_look_at_a_manifest_tells_size_and_digest_without_a_body(repository, by):
    pushed = await repository.tagged("v1")
    reference = "v1" if by == "tag" else pushed["digest"]
    answer = await repository.ask("HEAD", f"manifests/{reference}")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Docker-Content-Digest"] == pushed["digest"]
    assert answer.headers["Content-Length"] == str(pushed["size"])


async def test_a_manifest_that_the_client_has_is_not_sent_again(repository):
    pushed = await repository.tagged("v1")
    etag = (await repository.ask("HEAD", "manifests/v1")).headers["ETag"]
    known = {"If-None-Match": etag}
    answer = await repository.ask("GET", "manifests/v1", headers=known)
    assert (answer.status, answer.body) == (304, b"")
    moved = await repository.tagged("v1", annotations={"changed": "yes"})
    assert moved["digest"] != pushed["digest"]
    assert (await repository.ask("GET", "manifests/v1", headers=known)).status == 200


@pytest.mark.parametrize("reference", ["v2", "v1.", ABSENT, SHA512])
async def test_a_manifest_that_is_not_there_is_not_found(repository, reference):
    await repository.tagged("v1")
    answer = await repository.ask("GET", f"manifests/{reference}")
    assert answer.refused == (404, "MANIFEST_UNKNOWN")
    answer = await repository.ask("HEAD", f"manifests/{reference}")
    assert (answer.status, answer.body) == (404, b"")


async def test_a_repository_that_is_not_there_is_not_found(repository):
    assert (await repository.ask("GET", "manifests/v1")).refused[0] == 404
    assert (await repository.ask("GET", f"blobs/{ABSENT}")).refused[0] == 404
    assert (await repository.ask("GET", "tags/list")).refused == (404, "NAME_UNKNOWN")


async def test_a_blob_comes_back_with_its_digest(repository):
    content = os.urandom(100_000)
    blob = await repository.blob(content)
    answer = await repository.ask("GET", f"blobs/{blob['digest']}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["Docker-Content-Digest"] == blob["digest"]


async def test_a_look_at_a_blob_tells_size_and_digest_without_a_body(repository):
    blob = await repository.blob(CONTENT)
    answer = await repository.ask("HEAD", f"blobs/{blob['digest']}")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Docker-Content-Digest"] == blob["digest"]
    assert answer.headers["Content-Length"] == str(len(CONTENT))


@pytest.mark.parametrize("digest", [ABSENT, SHA512, "md5:d41d8cd98f00b204e9800998ecf8427e"])
async def test_a_blob_that_is_not_there_is_not_found(repository, digest):
    await repository.tagged("v1")
    answer = await repository.ask("GET", f"blobs/{digest}")
    assert answer.refused == (404, "BLOB_UNKNOWN")
    answer = await repository.ask("HEAD", f"blobs/{digest}")
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("digest", ["sha256:zz", "sha256:" + "A" * 64, "sha512:00", "nothing", ":"])
async def test_what_is_no_digest_is_said_so(repository, digest):
    assert (await repository.ask("GET", f"blobs/{digest}")).refused == (400, "DIGEST_INVALID")


async def test_a_blob_is_seen_only_through_a_repository_that_has_it(repository):
    blob = await repository.blob(os.urandom(100))
    other = repository.other()
    await other.tagged("v1")
    assert (await other.ask("GET", f"blobs/{blob['digest']}")).status == 404


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=10000-", 10_000, len(CONTENT) - 1),
        ("bytes=-5", len(CONTENT) - 5, len(CONTENT) - 1),
        ("bytes=10000-99999999", 10_000, len(CONTENT) - 1),
    ],
)
async def test_a_range_of_a_blob_is_sent_alone(repository, asked, first, last):
    blob = await repository.blob(CONTENT)
    answer = await repository.ask("GET", f"blobs/{blob['digest']}", headers={"Range": asked})
    assert (answer.status, answer.body) == (206, CONTENT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize(
    "asked", [f"bytes={len(CONTENT)}-", "bytes=99999999-999999999", "bytes=-0"]
)
async def test_a_range_beyond_the_end_of_a_blob_names_its_size(repository, asked):
    blob = await repository.blob(CONTENT)
    answer = await repository.ask("GET", f"blobs/{blob['digest']}", headers={"Range": asked})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


async def test_a_blob_that_the_client_has_is_not_sent_again(repository):
    where = f"blobs/{(await repository.blob(CONTENT))['digest']}"
    etag = (await repository.ask("HEAD", where)).headers["ETag"]
    answer = await repository.ask("GET", where, headers={"If-None-Match": etag})
    assert (answer.status, answer.body) == (304, b"")
    answer = await repository.ask("GET", where, headers={"If-None-Match": '"other"'})
    assert (answer.status, answer.body) == (200, CONTENT)


async def test_a_range_counts_only_for_the_blob_that_the_client_began(repository):
    where = f"blobs/{(await repository.blob(CONTENT))['digest']}"
    etag = (await repository.ask("HEAD", where)).headers["ETag"]
    same = {"Range": "bytes=1-2", "If-Range": etag}
    assert (await repository.ask("GET", where, headers=same)).status == 206
    other = {"Range": "bytes=1-2", "If-Range": '"other"'}
    answer = await repository.ask("GET", where, headers=other)
    assert (answer.status, answer.body) == (200, CONTENT)
