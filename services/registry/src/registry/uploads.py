"""Uploads under way: resumable, verified before they become blobs.

An upload is a folder with its data and the name of its repository; how far it is, is the size of
the data. So it outlives the process, and a crash leaves no half of a blob.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from chassis.clock import Clock
from chassis.errors import Conflict, CorralError, NotFound
from chassis.full_disk import full_disk_as
from registry.blobs import PIECE, Blobs, NoSpace
from registry.folder import Folder
from registry.metrics import RECEIVED, UPLOADS
from registry.room import OverQuota

_NAME = re.compile(r"[a-f0-9-]{36}")
_OWNER = 8
_DATA = "data"
_REPOSITORY = "repository"


class UnknownUpload(NotFound):
    """The upload is not known"""


class BegunElsewhere(UnknownUpload):
    """The upload was begun at another registry: all requests of an upload must reach that one"""


class OutOfOrder(Conflict):
    """The chunk does not begin where the upload ends"""


class Superseded(Conflict):
    """The upload was continued by another request"""


class WrongDigest(CorralError):
    """The content does not have the digest that was said"""


class Upload:
    """One upload. All methods but ``offset`` are blocking and meant for a thread."""

    def __init__(self, folder: Path, repository: str) -> None:
        self.id = folder.name
        self.repository = repository
        self.folder = folder
        self.data = folder / _DATA
        self.offset = self.data.stat().st_size
        self.lock = asyncio.Lock()
        self.writer: object = None
        self.finished = ""
        self._hash = hashlib.sha256()
        self._hashed = 0

    def write(self, piece: bytes) -> None:
        """Append; on a failure the data is as before."""
        try:
            with self.data.open("r+b", buffering=0) as file:
                rest = memoryview(piece)
                at = self.offset
                while rest:
                    done = os.pwrite(file.fileno(), rest, at)
                    rest, at = rest[done:], at + done
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self.data, self.offset)
            raise
        if self._hashed == self.offset:
            self._hash.update(piece)
            self._hashed += len(piece)
        self.offset += len(piece)

    def digest(self) -> str:
        """The digest of all data; reads again what an earlier process wrote."""
        with self.data.open("rb") as file:
            file.seek(self._hashed)
            while self._hashed < self.offset:
                piece = file.read(min(PIECE, self.offset - self._hashed))
                if not piece:
                    raise WrongDigest("the upload's data is shorter than it was")
                self._hash.update(piece)
                self._hashed += len(piece)
        return f"sha256:{self._hash.hexdigest()}"


class Uploads:
    """The folders below ``uploads``; ``reserve`` bytes of the disk stay free.

    They are on this registry's disk, whatever storage the blobs are in: an upload's id begins
    with the id of the registry that has it.
    """

    def __init__(
        self, folder: Folder, blobs: Blobs, clock: Clock, reserve: int, ttl: float
    ) -> None:
        self._folder = folder
        self._root = folder.base / "uploads"
        self._blobs = blobs
        self._clock = clock
        self._reserve = reserve
        self._ttl = ttl
        self._known: dict[str, Upload] = {}

    async def start(self) -> None:
        """Make the folder; drop what an earlier process left for too long."""
        await asyncio.to_thread(self._root.mkdir, parents=True, exist_ok=True)
        await self.expire()

    async def stop(self) -> None:
        """Uploads stay, to be continued."""

    async def begin(self, repository: str) -> Upload:
        """A new, empty upload."""
        await self.make_room(0)
        owner = self._folder.identity[:_OWNER]
        folder = self._root / (owner + str(uuid.uuid4())[len(owner) :])
        with full_disk_as(NoSpace):
            upload = await asyncio.to_thread(_make, folder, repository)
        self._known[upload.id] = upload
        return upload

    async def get(self, repository: str, identity: str) -> Upload:
        """A known upload; UnknownUpload when there is none of this repository."""
        upload = self._known.get(identity)
        if upload is None:
            upload = await self._load(identity)
        if upload.repository != repository:
            raise UnknownUpload
        return upload

    async def make_room(self, size: int) -> None:
        """Raise NoSpace when ``size`` more bytes would not leave the reserve free."""
        await asyncio.to_thread(self._check_room, size)

    async def append(
        self,
        upload: Upload,
        body: AsyncIterator[bytes],
        begins: int | None = None,
        allowance: int = sys.maxsize,
    ) -> None:
        """Write ``body`` at the end; what came before a cut is kept.

        ``begins``: where the caller believes the end is (OutOfOrder when it is not). A later call
        for the same upload takes it over: the earlier one ends with Superseded. An upload of more
        than ``allowance`` bytes is dropped with OverQuota.
        """
        me = object()
        async with upload.lock:
            if upload.finished or begins not in (None, upload.offset):
                raise OutOfOrder
            upload.writer = me
        buffer = bytearray()
        try:
            async for piece in body:
                buffer += piece
                if upload.offset + len(buffer) > allowance:
                    buffer.clear()
                    await self.drop(upload)
                    raise OverQuota(f"the quota leaves {allowance} bytes for the upload")
                if len(buffer) >= PIECE:
                    full, buffer = bytes(buffer), bytearray()
                    await self._write(upload, me, full)
        finally:
            if buffer:
                await self._write(upload, me, bytes(buffer))

    async def verify(self, upload: Upload, digest: str) -> None:
        """End the upload as the content of ``digest``; WrongDigest drops the upload.

        May be repeated until the upload is dropped: what follows may fail and be tried again.
        """
        async with upload.lock:
            upload.writer = None
            if upload.id not in self._known:
                raise UnknownUpload
            if upload.finished not in ("", digest):
                raise WrongDigest
            if not upload.finished:
                await self._verify(upload, digest)

    async def store(self, upload: Upload) -> None:
        """Make a verified upload a blob, also where one of another size stands: that is damaged."""
        async with upload.lock:
            if upload.id not in self._known:
                raise UnknownUpload
            if await self._blobs.size(upload.finished) != upload.offset:
                await self._adopt(upload, upload.finished)

    async def drop(self, upload: Upload) -> None:
        """The upload is no longer needed, or not wanted."""
        async with upload.lock:
            upload.writer = None
            await self._drop(upload)

    async def expire(self) -> None:
        """Drop what nobody has continued for the time to live."""
        oldest = self._clock.now().timestamp() - self._ttl
        for folder in await asyncio.to_thread(_stale, self._root, oldest):
            self._known.pop(folder.name, None)
            UPLOADS.labels("expired").inc()
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _verify(self, upload: Upload, digest: str) -> None:
        if await asyncio.to_thread(upload.digest) != digest:
            await self._drop(upload)
            UPLOADS.labels("wrong_digest").inc()
            raise WrongDigest
        upload.finished = digest
        UPLOADS.labels("finished").inc()

    async def _adopt(self, upload: Upload, digest: str) -> None:
        try:
            await self._blobs.adopt(upload.data, digest)
        except FileNotFoundError:  # it was the blob once, and was removed again
            await self._drop(upload)
            raise UnknownUpload from None

    async def _write(self, upload: Upload, me: object, piece: bytes) -> None:
        async with upload.lock:
            if upload.writer is not me:
                raise Superseded
            try:
                with full_disk_as(NoSpace):
                    await asyncio.to_thread(self._put, upload, piece)
                    RECEIVED.inc(len(piece))
            except NoSpace:
                UPLOADS.labels("disk_full").inc()
                await self._drop(upload)  # a full disk must not stay full of halves
                raise

    def _put(self, upload: Upload, piece: bytes) -> None:
        self._check_room(len(piece))
        upload.write(piece)

    def _check_room(self, size: int) -> None:
        if shutil.disk_usage(self._root).free < size + self._reserve:
            raise NoSpace

    async def _load(self, identity: str) -> Upload:
        if not _NAME.fullmatch(identity):
            raise UnknownUpload
        if not identity.startswith(self._folder.identity[:_OWNER]):
            raise BegunElsewhere  # also on a shared disk: nobody would see two writers
        try:
            upload = await asyncio.to_thread(_open, self._root / identity)
        except FileNotFoundError:
            raise UnknownUpload from None
        return self._known.setdefault(identity, upload)

    async def _drop(self, upload: Upload) -> None:
        upload.writer = None
        self._known.pop(upload.id, None)
        await asyncio.to_thread(shutil.rmtree, upload.folder, ignore_errors=True)


def _make(folder: Path, repository: str) -> Upload:
    folder.mkdir()
    try:
        (folder / _REPOSITORY).write_text(repository)
        (folder / _DATA).touch()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Upload(folder, repository)


def _open(folder: Path) -> Upload:
    return Upload(folder, (folder / _REPOSITORY).read_text())


def _stale(root: Path, oldest: float) -> list[Path]:
    found = []
    for folder in root.iterdir():
        with contextlib.suppress(FileNotFoundError):  # finished meanwhile
            newest = max((file.stat().st_mtime for file in folder.iterdir()), default=0.0)
            if max(newest, folder.stat().st_mtime) < oldest:
                found.append(folder)
    return found
