"""Disk space: what is used, how a full disk is told, files that are written whole or not."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node_agent.drivers.port import NoSpace

_BLOCK = 512
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def used(root: Path) -> int:
    """Bytes on disk below ``root``; files that vanish meanwhile do not count."""
    total = 0
    for path in root.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        total += found.st_blocks * _BLOCK
    return total


def write_whole(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace ``file`` at once; after a crash it has the old content or the new."""
    part = file.with_name(f"{file.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as target:
        target.write(content)
        target.flush()
        os.fsync(descriptor)
    part.rename(file)


@contextmanager
def full_disk_named() -> Iterator[None]:
    """Turn the system's word for a full disk into NoSpace."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace from error
        raise
