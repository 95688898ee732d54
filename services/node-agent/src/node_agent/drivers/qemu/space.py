"""Disk space: what is used, and files that are written whole or not."""

import os
from pathlib import Path

_BLOCK = 512


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
