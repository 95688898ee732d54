"""Blobs read again, slowly, and compared with their digests: disks forget."""

import asyncio
import hashlib
from datetime import timedelta

import structlog

from chassis.clock import Clock
from chassis.errors import Unavailable
from registry.blobs import Blobs
from registry.holdings import BlobDocument
from registry.metrics import CORRUPT, MISSING, SCRUBBED, UNREADABLE
from registry.removals import Removals

_TICK_SECONDS = 0.01
_log = structlog.get_logger()


class Scrub:
    """Checks each blob once per ``interval`` at ``rate`` bytes a second; registries share the work.

    A corrupt blob is set aside at once: it is not served any more and may be pushed again. What
    is missing is only reported, since the next push of it makes it good. What cannot be read is
    reported, and tried again an hour later.
    """

    def __init__(
        self, removals: Removals, blobs: Blobs, clock: Clock, interval: float, rate: int
    ) -> None:
        self._removals = removals
        self._blobs = blobs
        self._clock = clock
        self._interval = timedelta(seconds=interval)
        self._rate = rate

    async def step(self) -> None:
        """Check every blob that is due."""
        while self._interval and (
            blob := await self._removals.to_check(self._clock.now() - self._interval, self._rate)
        ):
            await self._check(blob)

    async def _check(self, blob: BlobDocument) -> None:
        try:
            if await self._is_settled(blob):
                await self._removals.checked(blob)
        except Unavailable:
            await self._removals.unclaim(blob)
            raise

    async def _is_settled(self, blob: BlobDocument) -> bool:
        """Read it and deal with what is wrong; False when it must be checked again."""
        try:
            found = await self._digest(blob.digest)
        except FileNotFoundError:
            await self._report_missing(blob.digest)
            return True
        except OSError as error:
            UNREADABLE.inc()
            _log.error("registry.blob_unreadable", digest=blob.digest, error=str(error))
            return False
        return found == blob.digest or await self._set_aside(blob, found)

    async def _set_aside(self, blob: BlobDocument, found: str) -> bool:
        """False when that failed, or when the blob was pushed anew while the old one was read."""
        digest = blob.digest
        if not await self._removals.is_as_seen(blob):
            await self._removals.unclaim(blob)
            return False
        repositories = await self._repositories(digest)
        CORRUPT.inc()
        _log.error("registry.blob_corrupt", digest=digest, found=found, repositories=repositories)
        try:
            await self._blobs.quarantine(digest)
        except OSError as error:
            _log.error("registry.blob_not_set_aside", digest=digest, error=str(error))
            return False
        return True

    async def _digest(self, digest: str) -> str:
        """The digest of what is stored, read at our pace."""
        content = await self._blobs.open(digest)
        total = hashlib.sha256()
        begun, done = self._clock.monotonic(), 0
        try:
            async for piece in content.pieces(0, content.size):
                await asyncio.to_thread(total.update, piece)
                SCRUBBED.inc(len(piece))
                done += len(piece)
                ahead = done / self._rate - (self._clock.monotonic() - begun)
                if ahead > _TICK_SECONDS:
                    await self._clock.sleep(ahead)
        finally:
            await content.close()
        return f"sha256:{total.hexdigest()}"

    async def _report_missing(self, digest: str) -> None:
        repositories = await self._repositories(digest)
        if repositories:
            MISSING.inc()
            _log.error("registry.blob_missing", digest=digest, repositories=repositories)

    async def _repositories(self, digest: str) -> list[str]:
        return (await self._removals.linked([digest])).get(digest, [])
