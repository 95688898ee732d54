"""The registry's folder on this machine, and an identity that outlives the process."""

import asyncio
import fcntl
import os
import uuid
from pathlib import Path


class Folder:
    """``identity`` names this registry among those that share a database; known once started.

    It is a locked file, and the lock ends with the process, however that ends. So whoever holds
    an identity knows that no earlier holder is at work any more, and several registries on one
    folder have one each.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.identity = ""
        self._lock: int | None = None

    async def start(self) -> None:
        """Take an identity that nobody has now, or a new one."""
        await asyncio.to_thread(self._take)

    async def stop(self) -> None:
        """Leave it to the next."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take(self) -> None:
        identities = self.base / "identities"
        identities.mkdir(parents=True, exist_ok=True)
        known = sorted(file.name for file in identities.iterdir())
        for identity in (*known, uuid.uuid4().hex):
            lock = os.open(identities / identity, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                self._lock, self.identity = lock, identity
                return
