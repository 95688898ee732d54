"""The agent's memory of its instances: an append-only file, written and fsynced in groups."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from chassis.clock import Clock
from node_agent.domain.record import Record
from node_agent.metrics import JOURNAL_GROUPS, JOURNAL_SECONDS

_COMPACT_MIN = 4096
"""Lines below which rewriting the file is not worth it."""

_log = structlog.get_logger()


class Journal:
    """Records of all nodes of one process; the newest line of a (node, instance) counts.

    ``put`` changes the memory and queues the line, ``sync`` returns when every line put before
    is on the disk; whoever waits at the same moment shares one fsync. While the disk refuses,
    waiters wait. Without a path nothing survives the process.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self._path = path
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._flying: list[asyncio.Future[None]] | None = None
        self._written = 0
        self._size = 0
        self._file = -1
        self._locked = -1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._flusher: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Read the file, drop what nothing depends on any more, and rewrite it compactly."""
        if self._path is None or self._file >= 0:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock()
        now = self._clock.now()
        self.records = {
            key: record for key, record in _read(self._path).items() if not _over(record, now)
        }
        self._rewrite([self._encode(record) for record in self.records.values()])

    def by_node(self) -> dict[str, list[Record]]:
        """Every record, under the id of its node."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.records.values():
            found[record.node_id].append(record)
        return found

    def put(self, record: Record) -> None:
        """Remember; durable after the next ``sync``."""
        self.records[record.key] = record
        if self._path is not None:
            self._lines.append(self._encode(record))

    async def sync(self) -> None:
        """Return when everything put so far is durable."""
        if self._path is None or (not self._lines and self._flying is None):
            return
        waiter = asyncio.get_running_loop().create_future()
        if self._lines or self._flying is None:
            self._waiters.append(waiter)
        else:
            self._flying.append(waiter)
        self.flush()
        await waiter

    def flush(self) -> None:
        """Begin to write what is queued; called now and then for what nobody waits for."""
        if self._lines and (self._flusher is None or self._flusher.done()):
            self._flusher = asyncio.create_task(self._flush(), name="journal")

    async def record(self, record: Record) -> None:
        """Remember, durably."""
        self.put(record)
        await self.sync()

    def forget(self, record: Record) -> None:
        """Drop a record that is over; its lines go with the next rewriting."""
        if self.records.get(record.key) is record:
            del self.records[record.key]

    async def close(self) -> None:
        """Write what is queued, close the file."""
        await self.sync()
        if self._flusher is not None:
            await self._flusher
        self.abandon()

    def abandon(self) -> None:
        """Close the file as a killed process would: what is not written yet is lost."""
        if self._flusher is not None:
            self._flusher.cancel()
        self._thread.shutdown(wait=True)
        for file in (self._file, self._locked):
            if file >= 0:
                os.close(file)
        self._file = self._locked = -1

    def _lock(self) -> None:
        """One process at a time; the lock ends with the process, however it ends."""
        assert self._path is not None
        self._locked = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise BadJournal(f"{self._path}: another agent uses it") from error

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._lines or self._waiters:
            lines, self._lines = self._lines, []
            self._flying, self._waiters = self._waiters, []
            if self._is_large(len(lines)):
                now = self._clock.now()
                lines = [self._encode(r) for r in self.records.values() if not _over(r, now)]
                await self._patiently(loop, self._rewrite, lines)
            else:
                await self._patiently(loop, self._append, lines)
            JOURNAL_GROUPS.inc()
            done, self._flying = self._flying, None
            for waiter in done:
                if not waiter.done():
                    waiter.set_result(None)

    def _is_large(self, more: int) -> bool:
        return self._written + more > max(_COMPACT_MIN, 8 * len(self.records))

    async def _patiently(
        self,
        loop: asyncio.AbstractEventLoop,
        write: Callable[[list[bytes]], None],
        lines: list[bytes],
    ) -> None:
        while True:
            begun = time.perf_counter()
            try:
                await loop.run_in_executor(self._thread, write, lines)
            except OSError as error:
                _log.error("journal.write_failed", path=str(self._path), error=str(error))
                await self._clock.sleep(1)
            else:
                JOURNAL_SECONDS.inc(time.perf_counter() - begun)
                return

    def _append(self, lines: list[bytes]) -> None:
        if not lines:
            return
        data = b"\n".join(lines) + b"\n"
        try:
            _write_all(self._file, data)
            os.fdatasync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self._written += len(lines)

    def _rewrite(self, lines: list[bytes]) -> None:
        assert self._path is not None
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            data = b"".join(line + b"\n" for line in lines)
            _write_all(file, data)
            os.fsync(file)
            fresh.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError:
            os.close(file)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self._size = len(data)
        self._written = len(lines)


def _over(record: Record, now: datetime) -> bool:
    until = record.forgettable_at
    return until is not None and until < now


def _read(path: Path) -> dict[tuple[str, str], Record]:
    if not path.exists():
        return {}
    decode = msgspec.json.Decoder(Record).decode
    lines = path.read_bytes().split(b"\n")
    records: dict[tuple[str, str], Record] = {}
    for number, line in enumerate(_whole(lines), 1):
        try:
            record = decode(line)
        except msgspec.MsgspecError as error:
            raise BadJournal(f"{path}, line {number}: {error}") from error
        records[record.key] = record
    if lines[-1]:
        _log.warning("journal.torn_line", path=str(path), bytes=len(lines[-1]))
    return records


def _whole(lines: list[bytes]) -> Iterable[bytes]:
    """What ends in a newline; a kill in the middle of a write leaves the last line torn."""
    return lines[:-1]


class BadJournal(Exception):
    """The journal is damaged, no journal at all, or another agent's"""


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
