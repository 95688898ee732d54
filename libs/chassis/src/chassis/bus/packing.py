"""From items to bus messages: a body is a JSON array of items of one routing key."""

from collections.abc import Iterator, Sequence

import msgspec

from contracts.documents import Said
from contracts.messages import MAX_BYTES, MAX_ITEMS


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One bus message and the items that travel in it."""

    key: str
    body: bytes
    items: Sequence[Said]


def pack(items: Sequence[Said]) -> Iterator[Packet]:
    """Items of one key together and in order, at most MAX_ITEMS or MAX_BYTES a packet."""
    if len(items) == 1:
        yield Packet(items[0].key, b"[" + items[0].body + b"]", items)
        return
    by_key: dict[str, list[Said]] = {}
    for item in items:
        by_key.setdefault(item.key, []).append(item)
    for key, same in by_key.items():
        for part in _parts(same):
            yield Packet(key, b"[" + b",".join([item.body for item in part]) + b"]", part)


def _parts(items: list[Said]) -> Iterator[list[Said]]:
    part: list[Said] = []
    size = 2
    for item in items:
        added = len(item.body) + 1
        if part and (len(part) == MAX_ITEMS or size + added > MAX_BYTES):
            yield part
            part, size = [], 2
        part.append(item)
        size += added
    yield part
