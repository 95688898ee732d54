"""What the in-process bus must still know after its process was killed: one append-only file.

A write reaches the kernel before its publish is confirmed, so it outlives the process (not a power
cut: the documents in the store do that, messages are wake-ups).
"""

import os
from pathlib import Path
from typing import Union

import msgspec

_COMPACT_AT = 32 << 20
_LENGTH = 4


class Declared(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """A durable queue exists."""

    name: str
    keys: tuple[str, ...]
    limit: int


class Put(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """A message lies in ``queue``, or will when ``due`` (seconds since the epoch) has come."""

    order: int
    queue: str
    key: str
    body: bytes
    attempt: int = 0
    redelivered: int = 0
    reason: str = ""
    origin: str = ""
    due: float = 0.0


class Gone(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """A message was settled."""

    order: int


_Record = Union[Declared, Put, Gone]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


class Journal:
    """``path`` None: nothing outlives the process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = -1
        self._size = 0
        self._declared: dict[str, Declared] = {}
        self._live: dict[int, Put] = {}

    def open(self) -> tuple[list[Declared], list[Put]]:
        """What the last process left: queues, and messages in the order they were put."""
        if self._path is None:
            return [], []
        if self._path.exists():
            self._replay(self._path.read_bytes())
        self._compact(self._path)
        return list(self._declared.values()), sorted(self._live.values(), key=lambda p: p.order)

    def close(self) -> None:
        """Write no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def declare(self, queue: Declared) -> None:
        """Remember a durable queue."""
        if self._file >= 0 and self._declared.get(queue.name) != queue:
            self._apply(queue)
            self._write(_frame(queue))

    def put(self, puts: list[Put]) -> None:
        """Remember messages; one with a known ``order`` replaces that."""
        if self._file >= 0 and puts:
            for put in puts:
                self._live[put.order] = put
            self._write(b"".join([_frame(put) for put in puts]))

    def remove(self, order: int) -> None:
        """Forget a message."""
        if self._file >= 0 and self._live.pop(order, None) is not None:
            self._write(_frame(Gone(order)))

    def _write(self, data: bytes) -> None:
        os.write(self._file, data)
        self._size += len(data)
        if self._size > _COMPACT_AT and self._path is not None:
            live = sum(len(put.body) for put in self._live.values())
            if live * 4 < self._size:
                self._compact(self._path)

    def _compact(self, path: Path) -> None:
        """Rewrite the file with what is alive, aside and then in its place."""
        records: list[_Record] = [*self._declared.values(), *self._live.values()]
        data = b"".join([_frame(record) for record in records])
        aside = path.with_name(path.name + ".new")
        aside.write_bytes(data)
        aside.replace(path)
        self.close()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._size = len(data)

    def _replay(self, data: bytes) -> None:
        """Everything up to the first record that was cut off by the end of its process."""
        start = 0
        while start + _LENGTH <= len(data):
            end = start + _LENGTH + int.from_bytes(data[start : start + _LENGTH], "big")
            if end > len(data):
                return
            self._apply(_decode(data[start + _LENGTH : end]))
            start = end

    def _apply(self, record: _Record) -> None:
        match record:
            case Declared():
                self._declared[record.name] = record
            case Put():
                self._live[record.order] = record
            case Gone():
                self._live.pop(record.order, None)


def _frame(record: _Record) -> bytes:
    data = _encode(record)
    return len(data).to_bytes(_LENGTH, "big") + data
