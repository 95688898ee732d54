"""Blobs as objects of an S3 bucket, named by their content.

An object appears whole or not at all: a large one is put in parts and completed at the end. The
parts of a put that a crash cut off are for the bucket's life-cycle rule (one day is plenty).
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from chassis.errors import CorralError, Unavailable
from registry.blobs.port import Disk

PART = 20 << 20
"""Bytes of a part of a multipart put; a large blob has larger ones."""

_PIECE = 2 << 20
_MOST_PARTS = 9_000  # S3 takes ten thousand
_AT_ONCE = 2
_PAGE = 1000
_LIMITLESS = 1 << 50
"""What a bucket is said to have room for: S3 has no figure, and clients want one."""

_log = structlog.get_logger()


class S3Down(Unavailable):
    """The object storage did not answer"""


class NoBucket(CorralError):
    """There is no such S3 bucket"""


class S3Place(msgspec.Struct, frozen=True, kw_only=True):
    """Which bucket, at any S3 endpoint, and how to get in; without keys the machine's role."""

    bucket: str
    endpoint: str = ""
    region: str = "us-east-1"
    prefix: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    path_style: bool = True
    verify_tls: bool = True

    def __repr__(self) -> str:
        """Without the keys."""
        return f"S3Place({self.bucket} at {self.endpoint or self.region})"


class OpenObject:
    """See Reading. One piece is fetched ahead, so memory does not grow with the blob."""

    def __init__(self, store: S3Store, key: str, size: int) -> None:
        self.descriptor: int | None = None
        self.size = size
        self._store = store
        self._key = key

    async def pieces(self, start: int, count: int) -> AsyncIterator[bytes]:
        """See Reading."""
        stop = start + count
        ahead = self._fetch(start, stop)
        try:
            while ahead is not None:
                piece = await ahead
                start += len(piece)
                ahead = self._fetch(start, stop)
                yield piece
        finally:
            if ahead is not None:
                ahead.cancel()

    async def close(self) -> None:
        """Nothing is open."""

    def _fetch(self, start: int, stop: int) -> "asyncio.Task[bytes] | None":
        if start >= stop:
            return None
        return asyncio.create_task(self._range(start, min(_PIECE, stop - start)))

    async def _range(self, start: int, length: int) -> bytes:
        with _errors():
            piece = await obstore.get_range_async(
                self._store, self._key, start=start, length=length
            )
        if len(piece) != length:
            raise OSError("the object is shorter than it was")
        return bytes(piece)


class S3Blobs:
    """The objects below ``blobs/sha256/`` of the bucket."""

    def __init__(self, place: S3Place, patience: float = 20.0) -> None:
        """``patience``: seconds of trying again before S3 counts as down."""
        self._store = _client(place, patience)

    async def start(self) -> None:
        """Ask for the bucket: without it every blob would seem to be missing. NoBucket."""
        try:
            await obstore.list_with_delimiter_async(self._store, "blobs")
        except BaseError as error:
            if "NoSuchBucket" in str(error):
                raise NoBucket from None
            _log.warning("s3.down", error=str(error)[:200])

    async def stop(self) -> None:
        """Nothing is open."""

    async def size(self, digest: str) -> int | None:
        """See Blobs."""
        try:
            with _errors():
                return (await obstore.head_async(self._store, _key(digest)))["size"]
        except FileNotFoundError:
            return None

    async def read(self, digest: str, limit: int) -> bytes:
        """See Blobs."""
        blob = await self.open(digest)
        return b"".join([piece async for piece in blob.pieces(0, min(limit, blob.size))])

    async def open(self, digest: str) -> OpenObject:
        """See Blobs."""
        size = await self.size(digest)
        if size is None:
            raise FileNotFoundError(digest)
        return OpenObject(self._store, _key(digest), size)

    async def adopt(self, file: Path, digest: str) -> None:
        """See Blobs; the file stays."""
        size = (await asyncio.to_thread(file.stat)).st_size
        await self._put(_key(digest), file, size)

    async def remove(self, digest: str) -> None:
        """See Blobs."""
        with _errors(), contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._store, _key(digest))

    async def quarantine(self, digest: str) -> None:
        """See Blobs; through us, because S3 itself copies no more than 5 GiB in one step."""
        with contextlib.suppress(FileNotFoundError):
            blob = await self.open(digest)
            aside = f"quarantine/{digest.removeprefix('sha256:')}.{uuid.uuid4().hex[:8]}"
            await self._put(aside, blob.pieces(0, blob.size), blob.size)
            await self.remove(digest)

    async def stored(self) -> AsyncIterator[dict[str, int]]:
        """See Blobs."""
        with _errors():
            async for page in obstore.list(self._store, "blobs/sha256", chunk_size=_PAGE):
                yield {f"sha256:{item['path'].rpartition('/')[2]}": item["size"] for item in page}

    async def _put(self, name: str, content: Path | AsyncIterator[bytes], size: int) -> None:
        try:
            await obstore.put_async(
                self._store,
                name,
                content,
                chunk_size=max(PART, -(-size // _MOST_PARTS)),
                max_concurrency=_AT_ONCE,
            )
        except (BaseError, FileNotFoundError) as error:  # the latter when there is no bucket
            raise S3Down(f"the object storage did not take it: {str(error)[:200]}") from error

    async def disk(self) -> Disk:
        """A bucket has no end: what is said here is bounded by the quota, where there is one."""
        return Disk(free=_LIMITLESS, total=_LIMITLESS)


def _client(place: S3Place, patience: float) -> S3Store:
    keys: dict[str, Any] = {}
    if place.access_key_id:
        keys["access_key_id"] = place.access_key_id
        keys["secret_access_key"] = place.secret_access_key
    if place.endpoint:
        keys["endpoint"] = place.endpoint
    return S3Store(
        place.bucket,
        prefix=place.prefix or None,
        region=place.region,
        virtual_hosted_style_request=not place.path_style,
        client_options={
            "allow_http": place.endpoint.startswith("http:"),
            "allow_invalid_certificates": not place.verify_tls,
            "timeout": "5m",  # of one part
        },
        retry_config={"max_retries": 10, "retry_timeout": timedelta(seconds=patience)},
        **keys,
    )


def _key(digest: str) -> str:
    name = digest.removeprefix("sha256:")
    return f"blobs/sha256/{name[:2]}/{name}"


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Turn the library's errors into ours, at this border only; its FileNotFoundError is ours."""
    try:
        yield
    except BaseError as error:
        raise S3Down(f"the object storage did not answer: {str(error)[:200]}") from error
