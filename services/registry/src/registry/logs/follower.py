"""Reading a log while it grows: the last lines, then whatever is appended, over rotations.

A reader goes at its own pace through the file itself, so a slow one costs an open file and
nothing else.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO

from registry.logs.folder import LogFolder
from registry.logs.writer import LogWriter

TAIL_BYTES = 1 << 20
"""How far a tail looks back."""

_PIECE = 256 << 10
_LOOK_SECONDS = 1.0
"""Other registries on the same disk write without telling this one."""


def tail(path: Path, lines: int) -> bytes:
    """The last lines of a file, of its last mebibyte at most; for a thread."""
    with path.open("rb") as file:
        file.seek(_tail_start(file, lines))
        return file.read(TAIL_BYTES)


async def follow(
    folder: LogFolder, writer: LogWriter, service: str, lines: int
) -> AsyncGenerator[list[bytes], None]:
    """Lines of the service from the last ``lines`` on, without end; [] when a second brought none.

    The service may have no log yet.
    """
    reader = _Reader(folder, service)
    with writer.watch(service) as news:
        try:
            await asyncio.to_thread(reader.open, lines)
            while True:
                news.clear()
                if found := await asyncio.to_thread(reader.read):
                    yield found
                    continue
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await news.wait()
                except TimeoutError:
                    yield []
        finally:
            reader.close()


class _Reader:
    """An open log file; goes on to the next one when it was rotated away."""

    def __init__(self, folder: LogFolder, service: str) -> None:
        self._folder = folder
        self._service = service
        self._file: BinaryIO | None = None
        self._rest = b""

    def open(self, lines: int) -> None:
        """Begin so many lines before the end of what is there."""
        self._file = _opened(self._folder.current(self._service))
        if self._file is not None:
            self._file.seek(_tail_start(self._file, lines))

    def read(self) -> list[bytes]:
        """The next whole lines; none when there are none yet."""
        if self._file is None:
            self._file = _opened(self._folder.current(self._service))
        if self._file is None:
            return []
        # Looked at before it is read to its end: to a file that was left nothing more is added.
        next_file = self._next(self._file)
        piece = self._file.read(_PIECE)
        if not piece and next_file is not None:
            self.close()
            self._file = _opened(next_file)
            return self.read()
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return lines

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _next(self, file: BinaryIO) -> Path | None:
        """The file to go on with, when lines go elsewhere now."""
        inode = os.fstat(file.fileno()).st_ino
        with contextlib.suppress(FileNotFoundError):
            if self._folder.current(self._service).stat().st_ino == inode:
                return None
        following = self._folder.after(self._service, inode)
        return following if following.exists() and following.stat().st_ino != inode else None


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _tail_start(file: BinaryIO, lines: int) -> int:
    """Where the last lines begin."""
    end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
    start = max(end - TAIL_BYTES, 0)
    file.seek(start)
    content = file.read(end - start)
    at = len(content)
    if content.endswith(b"\n"):
        at -= 1
    for _ in range(lines):
        at = content.rfind(b"\n", 0, at)
        if at < 0:
            # A tail that reaches back too far begins with its first whole line.
            return 0 if start == 0 else start + content.find(b"\n") + 1
    return start + at + 1
