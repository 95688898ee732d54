"""OCI Distribution 1.1, category Push: blobs at once, in chunks, and mounted."""

import os
import re
import uuid

import pytest

from tests.oci import ABSENT, OCTETS, SHA512, digest_of, pieces

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CONTENT = bytes(range(256)) * 10
DIGEST = digest_of(CONTENT)


async def test_an_upload_begins_with_a_location_of_its_own(repository):
    first = await repository.ask("POST", "blobs/uploads/", headers={"Content-Length": "0"})
    second = await repository.ask("POST", "blobs/uploads/")
    assert (first.status, second.status) == (202, 202)
    assert UUID.search(first.headers["Location"])
    assert UUID.search(first.headers["Location"])[0] != UUID.search(second.headers["Location"])[0]


async def test_post_then_put_makes_a_blob_that_can_be_pulled_from_its_location(repository):
    answer = await repository.finish(await repository.begin(), DIGEST, CONTENT)
    assert answer.status == 201
    assert (await repository.ask("GET", answer.location)).body == CONTENT


async def test_one_post_makes_a_blob_that_can_be_pulled_from_its_location(repository):
    answer = await repository.ask(
        *("POST", "blobs/uploads/"),
        params={"digest": DIGEST},
        data=CONTENT,
        headers={"Content-Type": OCTETS},
    )
    assert answer.status == 201
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    assert (await repository.ask("GET", answer.location)).body == CONTENT


async def test_an_empty_blob_is_a_blob(repository):
    blob = await repository.blob(b"")
    answer = await repository.ask("GET", f"blobs/{blob['digest']}")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_blob_may_be_pushed_again(repository):
    for _ in range(2):
        await repository.blob(CONTENT)
    assert (await repository.ask("GET", f"blobs/{DIGEST}")).body == CONTENT


async def test_content_with_another_digest_is_refused_and_does_not_become_a_blob(repository):
    answer = await repository.finish(await repository.begin(), ABSENT, CONTENT)
    assert answer.refused == (400, "DIGEST_INVALID")
    answer = await repository.ask("POST", "blobs/uploads/", params={"digest": ABSENT}, data=CONTENT)
    assert answer.refused == (400, "DIGEST_INVALID")
    where = await repository.begin()
    where = (await repository.chunk(where, CONTENT, 0)).location
    assert (await repository.finish(where, ABSENT)).refused == (400, "DIGEST_INVALID")
    for digest in (ABSENT, DIGEST):
        assert (await repository.ask("HEAD", f"blobs/{digest}")).status == 404


async def test_an_upload_is_not_closed_without_a_digest(repository):
    where = await repository.begin()
    assert (await repository.ask("PUT", where, data=CONTENT)).refused == (400, "DIGEST_INVALID")
    assert (await repository.finish(where, "sha256:no")).refused == (400, "DIGEST_INVALID")


async def test_an_algorithm_that_is_not_supported_is_said_so(repository):
    answer = await repository.finish(await repository.begin(), SHA512, CONTENT)
    assert answer.refused == (400, "UNSUPPORTED")
    answer = await repository.ask("POST", "blobs/uploads/", params={"digest": SHA512})
    assert answer.refused == (400, "UNSUPPORTED")


@pytest.mark.parametrize("last", ["in a PATCH", "in the PUT"])
async def test_chunks_in_order_make_a_blob(repository, last):
    where, sent = await repository.begin(), 0
    chunks = [CONTENT[:1000], CONTENT[1000:1001], CONTENT[1001:]]
    for chunk in chunks if last == "in a PATCH" else chunks[:-1]:
        answer = await repository.chunk(where, chunk, sent)
        sent += len(chunk)
        assert answer.status == 202
        assert answer.headers["Range"] == f"0-{sent - 1}"
        assert "Location" in answer.headers
        where = answer.location
    if last == "in a PATCH":
        answer = await repository.finish(where, DIGEST)
    else:
        span = {"Content-Range": f"{sent}-{len(CONTENT) - 1}"}
        answer = await repository.finish(where, DIGEST, chunks[-1], **span)
    assert answer.status == 201
    assert (await repository.ask("GET", answer.location)).body == CONTENT


async def test_a_chunk_of_unknown_length_is_taken_as_it_comes(repository):
    where = await repository.begin()
    answer = await repository.ask("PATCH", where, data=pieces(CONTENT))
    assert (answer.status, answer.headers["Range"]) == (202, f"0-{len(CONTENT) - 1}")
    assert (await repository.finish(answer.location, DIGEST)).status == 201


@pytest.mark.parametrize("start", [0, 500, 1001, 2000])
async def test_a_chunk_out_of_order_is_refused_and_the_upload_goes_on_where_it_was(
    repository, start
):
    where = (await repository.chunk(await repository.begin(), CONTENT[:1000], 0)).location
    answer = await repository.chunk(where, CONTENT[1000:], start)
    assert answer.refused[0] == 416
    status = await repository.ask("GET", where)
    assert status.headers["Range"] == "0-999"
    answer = await repository.chunk(status.location, CONTENT[1000:], 1000)
    assert answer.status == 202
    assert (await repository.finish(answer.location, DIGEST)).status == 201


async def test_the_first_chunk_begins_at_zero(repository):
    answer = await repository.chunk(await repository.begin(), CONTENT, 1)
    assert answer.refused[0] == 416


async def test_a_last_chunk_out_of_order_is_refused_and_the_upload_goes_on(repository):
    where = (await repository.chunk(await repository.begin(), CONTENT[:1000], 0)).location
    wrong = {"Content-Range": f"0-{len(CONTENT) - 1001}"}
    answer = await repository.finish(where, DIGEST, CONTENT[1000:], **wrong)
    assert answer.refused[0] == 416
    assert (await repository.finish(where, DIGEST, CONTENT[1000:])).status == 201


@pytest.mark.parametrize("span", ["0", "0-", "-9", "a-b", "9-0", "0-9,10-19", "0-" + "9" * 5000])
async def test_a_content_range_that_is_none_is_refused(repository, span):
    where = await repository.begin()
    answer = await repository.ask(
        "PATCH", where, data=b"0123456789", headers={"Content-Range": span}
    )
    assert answer.refused[0] in (400, 416)
    assert (await repository.finish(where, DIGEST, CONTENT)).status == 201


async def test_a_content_range_of_another_length_is_refused(repository):
    where = await repository.begin()
    answer = await repository.ask("PATCH", where, data=CONTENT, headers={"Content-Range": "0-9"})
    assert answer.refused == (400, "SIZE_INVALID")


async def test_the_status_of_an_upload_tells_how_far_it_is(repository):
    where = await repository.begin()
    answer = await repository.ask("GET", where)
    assert (answer.status, answer.body) == (204, b"")
    assert {"Location", "Range"} <= set(answer.headers)
    await repository.chunk(answer.location, CONTENT[:1234], 0)
    answer = await repository.ask("GET", answer.location)
    assert (answer.status, answer.headers["Range"]) == (204, "0-1233")


async def test_a_cancelled_upload_is_gone(repository):
    where = await repository.begin()
    assert (await repository.ask("DELETE", where)).status == 204
    assert (await repository.ask("GET", where)).refused == (404, "BLOB_UPLOAD_UNKNOWN")
    answer = await repository.finish(where, DIGEST, CONTENT)
    assert answer.refused == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
async def test_an_upload_that_is_not_known_is_not_found(repository, method):
    where = f"blobs/uploads/{uuid.uuid4()}?digest={ABSENT}"
    assert (await repository.ask(method, where)).refused == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_an_upload_belongs_to_its_repository(repository):
    identity = (await repository.begin()).name
    answer = await repository.other().ask("GET", f"blobs/uploads/{identity}")
    assert answer.refused == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_blob_is_mounted_from_another_repository(repository):
    content = os.urandom(100)
    blob = await repository.blob(content)
    other = repository.other()
    wish = {"mount": blob["digest"], "from": repository.name}
    answer = await other.ask("POST", "blobs/uploads/", params=wish)
    assert answer.status == 201
    assert (await other.ask("GET", answer.location)).body == content


@pytest.mark.parametrize(
    "wish",
    [
        {"mount": DIGEST},
        {"mount": ABSENT, "from": "{here}"},
        {"mount": DIGEST, "from": "conformance/absent"},
        {"mount": DIGEST, "from": "NO NAME"},
        {"mount": SHA512, "from": "{here}"},
        {"mount": "nothing", "from": "{here}"},
    ],
)
async def test_a_mount_that_cannot_be_done_becomes_an_upload(repository, wish):
    await repository.blob(CONTENT)
    other = repository.other()
    wish = {name: value.format(here=repository.name) for name, value in wish.items()}
    answer = await other.ask("POST", "blobs/uploads/", params=wish)
    assert answer.status == 202
    assert (await other.finish(answer.location, DIGEST, CONTENT)).status == 201
