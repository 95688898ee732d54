"""Blobs in the cache: files named by the SHA-256 of their content, whole or not there.

A download goes into ``<name>.part`` and goes on where it broke off; it gets its name only when its
digest is right and it is on disk.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Collection
from pathlib import Path
from weakref import WeakValueDictionary

from chassis.full_disk import full_disk_as
from contracts.artifacts import DIGEST_PATTERN, DISK_TYPE, Descriptor
from node_agent.drivers.port import CannotHonour, HostFault, ImageSource, NoSpace, SourceDown

_PART = ".part"
_LAYER = ".qcow2"
_READ = 1024 * 1024


class _WrongContent(HostFault):
    """What came has another digest."""


class BlobStore:
    """The blobs below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def path(self, blob: Descriptor) -> Path:
        """Where the blob is, or would be; a layer is named as the layer above it names it."""
        if not DIGEST_PATTERN.fullmatch(blob.digest):
            raise CannotHonour(f"{blob.digest} is not a digest that this node can check")
        suffix = _LAYER if blob.media_type == DISK_TYPE else ""
        return self._folder / f"{blob.digest.partition(':')[2]}{suffix}"

    def find(self, digest: str) -> Path | None:
        """The file of a blob that is here, whatever it is for."""
        name = digest.partition(":")[2]
        paths = (self._folder / name, self._folder / f"{name}{_LAYER}")
        return next((path for path in paths if path.exists()), None)

    def missing(self, blob: Descriptor) -> int:
        """Bytes that a fetch would still download."""
        path = self.path(blob)
        if path.exists():
            return 0
        return max(0, blob.size - _size(_part(path)))

    async def fetch(
        self, blob: Descriptor, source: ImageSource, repository: str, told: Callable[[int], None]
    ) -> None:
        """Have the blob; ``told`` hears of every piece that came. NoSpace when the disk is full.

        What is wrong is thrown away, what broke off is kept, and the rest is asked for once more:
        the source may have had it from somebody else. HostFault when that fails as well.
        """
        path = self.path(blob)
        lock = self._busy.setdefault(path.name, asyncio.Lock())
        async with lock:
            if not path.exists():
                with full_disk_as(NoSpace):
                    try:
                        await self._download(blob, path, source, repository, told)
                    except (_WrongContent, SourceDown):
                        await self._download(blob, path, source, repository, told)

    def take(self, file: Path, blob: Descriptor) -> None:
        """Have ``file``, whose content is the blob, under the blob's name; fine when it is so."""
        path = self.path(blob)
        if not path.exists():
            file.chmod(0o444)
            file.rename(path)
            _sync_folder(self._folder)

    def keep_only(self, blobs: Collection[Path]) -> None:
        """Remove every blob, and every broken-off download, that is not among ``blobs``."""
        names = {path.name for path in blobs}
        for file in self._folder.iterdir():
            if file.name.removesuffix(_PART) not in names:
                file.unlink()

    async def _download(
        self,
        blob: Descriptor,
        path: Path,
        source: ImageSource,
        repository: str,
        told: Callable[[int], None],
    ) -> None:
        part = _part(path)
        digest = hashlib.sha256()
        done = await asyncio.to_thread(_digest_file, part, digest.update)
        with part.open("ab") as file:
            if done < blob.size:
                async for piece in source.blob(repository, blob.digest, done):
                    done += len(piece)
                    if done > blob.size:
                        break
                    await asyncio.to_thread(_write, file.write, digest.update, piece)
                    told(len(piece))
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if done < blob.size:
            raise SourceDown(f"{blob.digest} broke off after {done} of {blob.size} bytes")
        if done > blob.size or digest.hexdigest() != blob.digest.partition(":")[2]:
            part.unlink()
            raise _WrongContent(f"{blob.digest} from {source.address} has other content")
        part.chmod(0o444)
        part.rename(path)
        await asyncio.to_thread(_sync_folder, self._folder)


def _part(path: Path) -> Path:
    return path.with_name(path.name + _PART)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _digest_file(path: Path, update: Callable[[bytes], None]) -> int:
    done = 0
    if path.exists():
        with path.open("rb") as file:
            while piece := file.read(_READ):
                update(piece)
                done += len(piece)
    return done


def _write(write: Callable[[bytes], int], update: Callable[[bytes], None], piece: bytes) -> None:
    write(piece)
    update(piece)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
