"""One process per data folder: a locked file that says which."""

import fcntl
import os
from pathlib import Path

import msgspec

from chassis.errors import Refused

_FILE = "corral.pid"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """The process that uses a data folder, and where its gateway listens."""

    pid: int
    gateway: str


class Hold:
    """Holds ``folder`` while it runs; the kernel lets go of it when the process dies."""

    def __init__(self, folder: Path, gateway: str) -> None:
        self._path = folder / _FILE
        self._gateway = gateway
        self._file = -1

    async def start(self) -> None:
        """See Part. Refused when another process has the folder."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            running = holder(self._path.parent)
            who = f"process {running.pid}" if running else "another process"
            raise Refused(f"{self._path.parent} is in use by {who}") from None
        os.ftruncate(file, 0)
        os.write(file, msgspec.json.encode(Holder(pid=os.getpid(), gateway=self._gateway)))
        self._file = file

    async def stop(self) -> None:
        """See Part."""
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1


def holder(folder: Path) -> Holder | None:
    """Who uses ``folder`` right now. A file that nobody has locked was left by a dead process."""
    try:
        file = os.open(folder / _FILE, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return msgspec.json.decode(os.read(file, 4096), type=Holder)
    finally:
        os.close(file)
    return None
