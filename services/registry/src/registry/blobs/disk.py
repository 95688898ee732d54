"""Blobs as files named by their content.

Writing never touches a file that readers can see: content is made durable and then moved to its
final name in one step.
"""

import asyncio
import contextlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from chassis.full_disk import full_disk_as
from registry.blobs.port import PIECE, Disk, NoSpace

_READ_ONLY = 0o444
_DIGEST_LENGTH = 64


class OpenFile:
    """See Reading; the kernel keeps the content until it is closed."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int | None = descriptor
        self.size = os.fstat(descriptor).st_size
        self._file = descriptor

    async def pieces(self, start: int, count: int) -> AsyncIterator[bytes]:
        """See Reading."""
        while count:
            piece = await asyncio.to_thread(os.pread, self._file, min(PIECE, count), start)
            if not piece:
                raise OSError("the file is shorter than it was")
            start, count = start + len(piece), count - len(piece)
            yield piece

    async def close(self) -> None:
        """See Reading."""
        await asyncio.to_thread(os.close, self._file)


class DiskBlobs:
    """The files below ``base/blobs``, spread over 256 folders."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._root = base / "blobs" / "sha256"
        self._aside = base / "quarantine"

    async def start(self) -> None:
        """Make the folders, to stay."""
        await asyncio.to_thread(_make, self._root)

    async def stop(self) -> None:
        """Nothing is open."""

    def path(self, digest: str) -> Path:
        """Where a blob stands, or would."""
        name = digest.removeprefix("sha256:")
        return self._root / name[:2] / name

    async def size(self, digest: str) -> int | None:
        """See Blobs."""
        with contextlib.suppress(FileNotFoundError):
            return (await asyncio.to_thread(self.path(digest).stat)).st_size
        return None

    async def read(self, digest: str, limit: int) -> bytes:
        """See Blobs."""
        return await asyncio.to_thread(_head, self.path(digest), limit)

    async def open(self, digest: str) -> OpenFile:
        """See Blobs."""
        return OpenFile(await asyncio.to_thread(os.open, self.path(digest), os.O_RDONLY))

    async def adopt(self, file: Path, digest: str) -> None:
        """See Blobs."""
        await asyncio.to_thread(_adopt, file, self.path(digest))

    async def remove(self, digest: str) -> None:
        """See Blobs."""
        await asyncio.to_thread(self.path(digest).unlink, missing_ok=True)

    async def quarantine(self, digest: str) -> None:
        """See Blobs; a repeat for the same digest does not overwrite what is there."""
        await asyncio.to_thread(_set_aside, self.path(digest), self._aside)

    async def stored(self) -> AsyncIterator[dict[str, int]]:
        """See Blobs; one folder at a time."""
        for folder in await asyncio.to_thread(lambda: sorted(self._root.iterdir())):
            yield await asyncio.to_thread(_sizes, folder)

    async def disk(self) -> Disk:
        """See Blobs."""
        usage = await asyncio.to_thread(shutil.disk_usage, self._base)
        return Disk(free=usage.free, total=usage.total)


def _head(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit)


def _adopt(file: Path, target: Path) -> None:
    with full_disk_as(NoSpace):
        target.parent.mkdir(exist_ok=True)
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.chmod(_READ_ONLY)
        file.rename(target)
        _sync(target.parent)
        _sync(target.parent.parent)  # whoever made the folder may not have come so far


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for made in (folder, folder.parent, folder.parent.parent):
        _sync(made)


def _set_aside(file: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        file.rename(folder / f"{file.name}.{uuid.uuid4().hex[:8]}")
        _sync(folder)
        _sync(file.parent)


def _sizes(folder: Path) -> dict[str, int]:
    found = {}
    for file in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            if len(file.name) == _DIGEST_LENGTH:
                found[f"sha256:{file.name}"] = file.stat().st_size
    return found


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
