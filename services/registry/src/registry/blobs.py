"""Blobs as files named by their content.

A blob exists once its file stands under its final name: it was verified, made durable and moved
there in one step. Writing never touches a file that readers can see.
"""

import asyncio
import contextlib
import errno
import os
import shutil
from pathlib import Path

import msgspec

from chassis.errors import Unavailable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says of a full disk."""

_READ_ONLY = 0o444


class NoSpace(Unavailable):
    """The registry's disk is full"""


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of the file system that holds the blobs."""

    free: int
    total: int


class Blobs:
    """The files below ``base/blobs``, spread over 256 folders."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._root = base / "blobs" / "sha256"

    async def start(self) -> None:
        """Make the folders."""
        await asyncio.to_thread(self._root.mkdir, parents=True, exist_ok=True)

    async def stop(self) -> None:
        """Nothing is open."""

    def path(self, digest: str) -> Path:
        """Where a blob stands, or would; ``digest`` is well-formed."""
        name = digest.removeprefix("sha256:")
        return self._root / name[:2] / name

    async def size(self, digest: str) -> int | None:
        """Bytes of the blob; None when it does not exist."""
        with contextlib.suppress(FileNotFoundError):
            return (await asyncio.to_thread(self.path(digest).stat)).st_size
        return None

    async def read(self, digest: str, limit: int) -> bytes:
        """The first ``limit`` bytes; FileNotFoundError when there is no such blob."""
        return await asyncio.to_thread(_head, self.path(digest), limit)

    async def adopt(self, file: Path, digest: str) -> None:
        """Make ``file``, whose content is verified, the blob; durable when it returns."""
        await asyncio.to_thread(_adopt, file, self.path(digest))

    async def disk(self) -> Disk:
        """How full the disk is."""
        usage = await asyncio.to_thread(shutil.disk_usage, self._base)
        return Disk(free=usage.free, total=usage.total)

    def check_room(self, size: int) -> None:
        """Raise NoSpace unless ``size`` bytes are free; for a thread."""
        if shutil.disk_usage(self._base).free < size:
            raise NoSpace


def _head(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit)


def _adopt(file: Path, target: Path) -> None:
    try:
        fresh = not target.parent.exists()
        target.parent.mkdir(exist_ok=True)
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.chmod(_READ_ONLY)
        file.rename(target)
        _sync(target.parent)
        if fresh:
            _sync(target.parent.parent)
    except OSError as error:
        if error.errno in FULL:
            raise NoSpace from error
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
