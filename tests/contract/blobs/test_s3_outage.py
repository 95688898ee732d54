import os

import msgspec
import pytest

from chassis.errors import Unavailable
from contracts.artifacts import digest_of
from registry.blobs.s3 import PART, NoBucket, S3Blobs
from tests.ports import free_port


@pytest.fixture
def place(s3):
    return s3.fresh_bucket()


async def test_a_large_blob_is_put_in_parts_of_twenty_mebibytes(s3, place, tmp_path):
    content = os.urandom(2 * PART + 1)
    (tmp_path / "file").write_bytes(content)
    await S3Blobs(place).adopt(tmp_path / "file", digest_of(content))
    parts = [p for m, p in s3.requests if place.bucket in p and m == "PUT" and "partNumber" in p]
    assert len(parts) == 3


async def test_a_bucket_that_is_not_there_is_no_missing_file(s3, place, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    blobs = S3Blobs(msgspec.structs.replace(place, bucket="no-such-bucket"))
    with pytest.raises(NoBucket):
        await blobs.start()
    with pytest.raises(Unavailable):
        await blobs.adopt(tmp_path / "file", digest_of(b"content"))
    assert (tmp_path / "file").read_bytes() == b"content"


async def test_a_server_that_does_not_answer_is_unavailable(place):
    nobody = msgspec.structs.replace(place, endpoint=f"http://127.0.0.1:{free_port()}")
    blobs = S3Blobs(nobody, patience=0.2)
    with pytest.raises(Unavailable):
        await blobs.size(digest_of(b"content"))


async def test_a_prefix_keeps_two_registries_of_one_bucket_apart(place, tmp_path):
    one, other = (S3Blobs(msgspec.structs.replace(place, prefix=name)) for name in ("a", "b/c"))
    (tmp_path / "file").write_bytes(b"content")
    await one.adopt(tmp_path / "file", digest_of(b"content"))
    assert await one.size(digest_of(b"content")) == 7
    assert await other.size(digest_of(b"content")) is None
    assert [batch async for batch in one.stored()] == [{digest_of(b"content"): 7}]
