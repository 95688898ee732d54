"""The registry's folder on this machine: one process at a time, and an id that it keeps."""

import asyncio
import fcntl
import os
import uuid
from pathlib import Path

from chassis.errors import CorralError


class FolderInUse(CorralError):
    """Another registry uses the folder"""


class Folder:
    """``identity`` names the registry among those that share a database; known once started.

    The lock ends with the process, however that ends: whoever holds it knows that no earlier
    owner of the identity is at work any more.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self._lock: int | None = None
        self.identity = ""

    async def start(self) -> None:
        """Take the folder; FolderInUse."""
        await asyncio.to_thread(self._take)

    async def stop(self) -> None:
        """Let it go."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take(self) -> None:
        self.base.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.base / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise FolderInUse(f"another registry uses {self.base}") from None
        self._lock = lock
        self.identity = self._read() or self._make()

    def _read(self) -> str:
        file = self.base / "identity"
        return file.read_text().strip() if file.exists() else ""

    def _make(self) -> str:
        identity = uuid.uuid4().hex
        draft = self.base / "identity.new"
        with draft.open("w") as file:
            file.write(f"{identity}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self.base / "identity")
        return identity
