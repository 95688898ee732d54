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

import structlog

from chassis.clock import Clock
from chassis.errors import NotFound, Refused
from registry.blobs import FULL, NoSpace
from registry.logs.folder import LogFile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MOST_FILES = 32
_UNFINISHED = ".upload"
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
        await asyncio.to_thread(self._make_room, target)
        upload = target.with_name(f".{uuid.uuid4().hex}{_UNFINISHED}")
        size = 0
        try:
            with upload.open("wb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > self._limit:
                        raise TooLarge
                    await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(upload.rename, target)
        except OSError as error:
            if error.errno in FULL:
                raise NoSpace from error
            raise
        finally:
            upload.unlink(missing_ok=True)

    def list(self, vm: str) -> list[LogFile]:
        """The files of a VM, by name; for a thread."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folder(vm)):
                if not entry.name.endswith(_UNFINISHED):
                    stat = entry.stat()
                    modified = int(stat.st_mtime)
                    found.append(LogFile(name=entry.name, size=stat.st_size, modified=modified))
        return sorted(found, key=lambda file: file.name)

    def find(self, vm: str, name: str) -> Path:
        """The file; NotFound. For a thread."""
        path = self._path(vm, name)
        if not path.is_file():
            raise NotFound
        return path

    async def expire(self) -> None:
        """Remove what is too old, and uploads that were cut off."""
        if self._keep is not None:
            gone = await asyncio.to_thread(self._expire, self._keep)
            if gone:
                _log.info("vm_files.expired", files=gone)

    def _make_room(self, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(target.parent).free < self._reserve:
            raise NoSpace
        if len(list(target.parent.iterdir())) >= _MOST_FILES and not target.exists():
            raise Refused(f"a VM has no more than {_MOST_FILES} files")

    def _expire(self, keep: timedelta) -> int:
        before = (self._clock.now() - keep).timestamp()
        gone = 0
        for path in self._root.glob("*/*"):
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)
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
