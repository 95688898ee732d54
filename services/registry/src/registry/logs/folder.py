"""The files of the central logs: one folder per service, its newest file and the rotated ones.

Everything here blocks: it is for threads.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from chassis.clock import Clock
from chassis.errors import NotFound, Refused
from chassis.full_disk import full_disk_as
from registry.blobs import NoSpace

_SPELLINGS = {"event": "Event", "controller": "Controller"}
"""Services that are asked for in either case."""

_LONGEST_NAME = 160
_SUFFIX = ".log"


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """When a file is closed (``max_bytes`` None: never by size) and when it is removed.

    ``reserve``: bytes of the disk that logs leave free.
    """

    max_bytes: int | None = 1024 << 20
    daily: bool = False
    keep: timedelta | None = timedelta(days=7)
    reserve: int = 0


class LogFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a service; ``size`` in bytes, ``modified`` in seconds since 1970."""

    name: str
    size: int
    modified: int


class LogFolder:
    """The only one who knows names below ``root``."""

    def __init__(self, root: Path, rotation: Rotation, clock: Clock) -> None:
        self._root = root
        self._rotation = rotation
        self._clock = clock

    def services(self) -> list[str]:
        """Every service that has a log."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(unquote(entry.name) for entry in os.scandir(self._root))
        return []

    def files(self, service: str) -> list[LogFile]:
        """The service's files, oldest first; the last one is written to. Empty: no such log."""
        folder = self._folder(service)
        found = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for entry in os.scandir(folder):
                with contextlib.suppress(FileNotFoundError):
                    stat = entry.stat(follow_symlinks=False)
                    modified = int(stat.st_mtime)
                    found.append(LogFile(name=entry.name, size=stat.st_size, modified=modified))
        newest = self.current(service).name
        return sorted(found, key=lambda file: (file.name == newest, file.name))

    def current(self, service: str) -> Path:
        """The file that is written to, which may not exist."""
        folder = self._folder(service)
        return folder / f"{folder.name.lower()}{_SUFFIX}"

    def find(self, service: str, name: str) -> Path:
        """A file of the service, the newest one for the empty name; NotFound."""
        name = name or self.current(service).name
        if name not in {file.name for file in self.files(service)}:
            raise NotFound
        return self._folder(service) / name

    def after(self, service: str, inode: int) -> Path:
        """The file that followed this one; the newest one when this one is not there any more."""
        folder = self._folder(service)
        names = iter([file.name for file in self.files(service)])
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                if (folder / name).stat().st_ino == inode:
                    return folder / next(names, name)
        return self.current(service)

    def append(self, service: str, lines: bytes) -> None:
        """Add whole lines, in a new file when that is due; NoSpace."""
        current = self.current(service)
        with full_disk_as(NoSpace):
            current.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(current.parent).free < self._rotation.reserve:
                raise NoSpace
            self._rotate(current, len(lines))
            with current.open("ab") as file:
                if file.tell() == 0:
                    file.write(self._header())
                file.write(lines)

    def expire(self) -> int:
        """Remove what nobody has written to for too long; the number of files."""
        if self._rotation.keep is None:
            return 0
        before = (self._clock.now() - self._rotation.keep).timestamp()
        gone = 0
        for service in self.services():
            folder = self._folder(service)
            for file in self.files(service):
                if file.modified < before:
                    (folder / file.name).unlink(missing_ok=True)
                    gone += 1
            with contextlib.suppress(OSError):
                folder.rmdir()
        return gone

    def members(self, services: list[str]) -> Iterator[tuple[str, Path]]:
        """Every file of these services, with a name for an archive."""
        for service in services:
            folder = self._folder(service)
            for file in self.files(service):
                yield f"{folder.name}/{file.name}", folder / file.name

    def check(self, service: str) -> str:
        """The service as it is listed; Refused when that is no name."""
        service = _SPELLINGS.get(service.casefold(), service)
        self._folder(service)
        return service

    def _folder(self, service: str) -> Path:
        """One folder name for each service: no service can name anything outside of ``root``."""
        service = _SPELLINGS.get(service.casefold(), service)
        name = quote(service, safe=" ()+,=@[]", errors="replace")
        if name.startswith("."):
            name = "%2E" + name[1:]
        if not 0 < len(name) <= _LONGEST_NAME:
            raise Refused("service: expected a name of moderate length")
        return self._root / name

    def _rotate(self, current: Path, more: int) -> None:
        try:
            stat = current.stat()
        except FileNotFoundError:
            return
        rotation, now = self._rotation, self._clock.now()
        full = rotation.max_bytes is not None and stat.st_size + more > rotation.max_bytes
        stale = rotation.daily and datetime.fromtimestamp(stat.st_mtime, UTC).date() < now.date()
        if full or stale:
            current.rename(_unused(current, now))

    def _header(self) -> bytes:
        return f"Log file created at: {self._clock.now():%Y/%m/%d %H:%M:%S}\n".encode()


def _unused(current: Path, now: datetime) -> Path:
    stem = f"{current.name.removesuffix(_SUFFIX)}.{now:%Y%m%dT%H%M%S.%fZ}"
    number = 0
    while (path := current.with_name(f"{stem}.{number:03}{_SUFFIX}")).exists():
        number += 1
    return path
