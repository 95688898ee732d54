"""How much may still come: the storage's own limits and the quotas."""

import sys

from chassis.errors import CorralError
from registry.blobs import Blobs, Disk
from registry.holdings import Holdings


class OverQuota(CorralError):
    """A quota would be exceeded"""


class Room:
    """``quota`` of the whole registry and ``repository_quota`` of each, in bytes; 0 is no limit.

    The registry's use counts a blob once, a repository's counts every blob it has. The former is
    asked for every few seconds and counted in between, so registries that share a database may
    overshoot by what they took meanwhile, and uploads that end at once by each other.
    """

    def __init__(self, holdings: Holdings, blobs: Blobs, quota: int, repository_quota: int) -> None:
        self._holdings = holdings
        self._blobs = blobs
        self._quota = quota
        self._repository_quota = repository_quota
        self._used: int | None = None

    async def refresh(self) -> None:
        """Ask how much is used."""
        if self._quota:
            self._used = await self._holdings.used_bytes()

    async def allowance(self, repository: str, size: int) -> int:
        """Bytes that an upload may have; OverQuota when that is less than ``size``."""
        allowed = sys.maxsize
        if self._quota:
            allowed = max(self._quota - await self._now_used(), 0)
            _check(allowed, size, "the registry's quota", self._quota)
        if self._repository_quota:
            used = await self._holdings.repository_bytes(repository)
            left = max(self._repository_quota - used, 0)
            _check(left, size, "the repository's quota", self._repository_quota)
            allowed = min(allowed, left)
        return allowed

    async def take(self, repository: str, digest: str, size: int) -> None:
        """Count a blob that is about to be linked; OverQuota when it does not fit."""
        if self._repository_quota and await self._holdings.link(repository, digest) is None:
            used = await self._holdings.repository_bytes(repository)
            left = self._repository_quota - used
            _check(left, size, "the repository's quota", self._repository_quota)
        if self._quota and await self._blobs.size(digest) is None:
            used = await self._now_used()
            _check(self._quota - used, size, "the registry's quota", self._quota)
            self._used = used + size

    def freed(self, size: int) -> None:
        """A blob was removed."""
        if self._used is not None:
            self._used = max(self._used - size, 0)

    async def disk(self) -> Disk:
        """What is free and what there is in all, as far as the storage and the quota go."""
        disk = await self._blobs.disk()
        if not self._quota:
            return disk
        left = max(self._quota - await self._now_used(), 0)
        return Disk(free=min(disk.free, left), total=min(disk.total, self._quota))

    async def _now_used(self) -> int:
        if self._used is None:
            self._used = await self._holdings.used_bytes()
        return self._used


def _check(left: int, size: int, name: str, limit: int) -> None:
    if size > left:
        raise OverQuota(f"{name} of {limit} bytes would be exceeded: {max(left, 0)} bytes are left")
