"""Blob storage as the registry sees it: verified content, named by its digest."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import msgspec

from chassis.errors import Unavailable

PIECE = 1 << 20
"""Bytes that are read into memory at once, at most; a storage far away takes a few of them."""


class NoSpace(Unavailable):
    """The registry's disk is full"""


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of the storage that holds the blobs."""

    free: int
    total: int


class Reading(Protocol):
    """A blob being read. Removed meanwhile, a file is read to its end and an object is cut off."""

    size: int
    descriptor: int | None
    """An open file that the kernel can send from; None when there is none."""

    def pieces(self, start: int, count: int) -> AsyncIterator[bytes]:
        """These bytes, in order, few at a time; OSError when they cannot be had."""
        ...

    async def close(self) -> None:
        """Done."""
        ...


class Blobs(Protocol):
    """A blob exists once it has its final name: it was verified and is whole, or it is not there.

    Digests are well-formed. Storage that does not answer is Unavailable.
    """

    async def start(self) -> None:
        """Make what must be there."""
        ...

    async def stop(self) -> None:
        """Close what is open."""
        ...

    async def size(self, digest: str) -> int | None:
        """Bytes of the blob; None when it does not exist."""
        ...

    async def read(self, digest: str, limit: int) -> bytes:
        """The first ``limit`` bytes; FileNotFoundError when there is no such blob."""
        ...

    async def open(self, digest: str) -> Reading:
        """The blob, to be read in any order; FileNotFoundError when there is none."""
        ...

    async def adopt(self, file: Path, digest: str) -> None:
        """Make ``file``, whose content is verified, the blob; durable when it returns.

        The file may be gone afterwards. NoSpace leaves it as it is.
        """
        ...

    async def remove(self, digest: str) -> None:
        """Delete the blob; fine when it is not there."""
        ...

    async def quarantine(self, digest: str) -> None:
        """Set the content aside where no reader looks; fine when it is not there."""
        ...

    def stored(self) -> AsyncIterator[dict[str, int]]:
        """Every blob with its size, in batches."""
        ...

    async def disk(self) -> Disk:
        """How full the storage is, as far as it can tell."""
        ...
