"""Disk space: what is used, and how a full disk is told."""

import errno
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


@contextmanager
def full_disk_named() -> Iterator[None]:
    """Turn the system's word for a full disk into NoSpace."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace from error
        raise
