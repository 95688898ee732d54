"""Many files as one tar.gz that is made while it is sent."""

import os
import tarfile
import zlib
from collections.abc import Generator, Iterable
from pathlib import Path

_PIECE = 256 << 10
_GZIP = 31
"""The window bits that make zlib write gzip."""


def tar_gz(members: Iterable[tuple[str, Path]]) -> Generator[bytes, None, None]:
    """The archive in pieces. Files may grow meanwhile, or go: each is as it was when opened."""
    squeeze = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, _GZIP)
    for name, path in members:
        for piece in _member(name, path):
            yield squeeze.compress(piece)
    yield squeeze.compress(bytes(2 * tarfile.BLOCKSIZE)) + squeeze.flush()


def _member(name: str, path: Path) -> Generator[bytes, None, None]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        info = tarfile.TarInfo(name)
        info.mode = 0o640
        stat = os.fstat(file.fileno())
        info.size, info.mtime = stat.st_size, int(stat.st_mtime)
        left = info.size
        yield info.tobuf(tarfile.PAX_FORMAT)
        while left:
            piece = file.read(min(_PIECE, left)) or bytes(min(_PIECE, left))
            left -= len(piece)
            yield piece
        yield bytes(-info.size % tarfile.BLOCKSIZE)
