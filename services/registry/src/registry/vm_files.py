"""Files that agents leave about a VM that failed: ``files/logs/<vm uuid>/<name>``."""

import asyncio
import contextlib
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import structlog

from chassis.clock import Clock
from chassis.errors import NotFound, Refused
from chassis.full_disk import full_disk_as
from registry.blobs import NoSpace
from registry.logs.folder import LogFile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MOST_FILES = 32
_UNFINISHED = "."
"""How names of uploads under way begin, and no file's."""

_CUT_OFF = timedelta(hours=1)
"""An upload that nobody wrote to for so long was left by a process that was killed."""
_log = structlog.get_logger()


class TooLarge(Refused):
    """The file is larger than a log may be"""


class VmFiles:
    """``limit``: bytes of one file. ``keep``: how long (None: for ever)."""

    def __init__(
        self, root: Path, clock: Clock, *, limit: int, keep: timedelta | None, reserve: int
    ) -> None:
        self._root = root
        self._clock = clock
        self._limit = limit
        self._keep = keep
        self._reserve = reserve

    async def put(self, vm: str, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Have the file, whole or not at all; Refused, TooLarge, NoSpace."""
        target = self._path(vm, name)
        upload = target.with_name(f"{_UNFINISHED}{uuid.uuid4().hex}")
        try:
            with full_disk_as(NoSpace):
                with await asyncio.to_thread(self._begin, upload, target) as file:
                    await self._take(file, pieces)
                await asyncio.to_thread(upload.rename, target)
        except BaseException:
            await asyncio.to_thread(_drop, upload)
            raise

    def list(self, vm: str) -> list[LogFile]:
        """The files of a VM, by name; for a thread."""
        found = []
        for path in _files(self._folder(vm)):
            with contextlib.suppress(FileNotFoundError):  # expired meanwhile
                stat = path.stat()
                modified = int(stat.st_mtime)
                found.append(LogFile(name=path.name, size=stat.st_size, modified=modified))
        return sorted(found, key=lambda file: file.name)

    def find(self, vm: str, name: str) -> Path:
        """The file; NotFound. For a thread."""
        path = self._path(vm, name)
        if not path.is_file():
            raise NotFound
        return path

    async def expire(self) -> None:
        """Remove what is too old, uploads that were cut off, and folders without a file."""
        gone = await asyncio.to_thread(self._expire)
        if gone:
            _log.info("vm_files.expired", files=gone)

    def _begin(self, upload: Path, target: Path) -> BinaryIO:
        """Open the upload, in its folder: Refused and NoSpace leave none."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._check_room(0)
        there = set(_files(target.parent))
        if len(there) >= _MOST_FILES and target not in there:
            raise Refused(f"a VM has no more than {_MOST_FILES} files")
        while True:
            target.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # it was empty, and is removed again
                return upload.open("xb")

    async def _take(self, file: BinaryIO, pieces: AsyncIterator[bytes]) -> None:
        size = 0
        async for piece in pieces:
            size += len(piece)
            if size > self._limit:
                raise TooLarge
            await asyncio.to_thread(self._write, file, piece)
        await asyncio.to_thread(_settle, file)

    def _write(self, file: BinaryIO, piece: bytes) -> None:
        self._check_room(len(piece))
        file.write(piece)

    def _check_room(self, size: int) -> None:
        if shutil.disk_usage(self._root).free < size + self._reserve:
            raise NoSpace

    def _expire(self) -> int:
        now = self._clock.now()
        cut_off = (now - _CUT_OFF).timestamp()
        oldest = (now - self._keep).timestamp() if self._keep is not None else 0.0
        gone = 0
        for path in self._root.glob("*/*"):
            begun = path.name.startswith(_UNFINISHED)
            with contextlib.suppress(FileNotFoundError):  # by another registry, or it has ended
                if path.stat().st_mtime < (cut_off if begun else oldest):
                    path.unlink()
                    gone += 1
        for folder in self._root.glob("*"):
            with contextlib.suppress(OSError):
                folder.rmdir()
        return gone

    def _folder(self, vm: str) -> Path:
        if not _NAME.fullmatch(vm):
            raise Refused("expected the uuid of a VM")
        return self._root / vm

    def _path(self, vm: str, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise Refused("expected a file name of letters, digits, '.', '_' and '-'")
        return self._folder(vm) / name


def _files(folder: Path) -> list[Path]:
    """The whole files of a VM; none when it has no folder."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(_UNFINISHED)]
    except FileNotFoundError:
        return []


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _drop(upload: Path) -> None:
    upload.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other files are there
        upload.parent.rmdir()
