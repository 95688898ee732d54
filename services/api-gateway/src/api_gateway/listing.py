"""Public lists, whole or page by page."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from api_gateway.domain.paging import Key, Page, cursor_of
from api_gateway.entries import digest_of
from api_gateway.public import envelope

T = TypeVar("T")


@dataclass(slots=True)
class Listing:
    """Encoded elements, and what names their content.

    ``total`` counts the elements of all pages; ``after`` is the cursor of the next one, if any.
    """

    items: list[bytes]
    tag: bytes
    total: int
    after: str | None = None
    _body: bytes | None = None

    def body(self) -> bytes:
        """The answer, joined at the first call: whoever keeps the list keeps it too."""
        if self._body is None:
            self._body = envelope.ok_list(self.items)
        return self._body


def listing_of(
    entries: Sequence[T], encode: Callable[[T], tuple[bytes, bytes]], page: Page, key: Key[T]
) -> Listing:
    """A page of entries that stand in the order of ``key``; ``encode`` gives bytes and digest."""
    begin = 0 if page.after is None else bisect_right(entries, page.after, key=key)
    end = len(entries) if page.limit is None else begin + page.limit
    chosen = entries[begin:end]
    after = cursor_of(key(chosen[-1])) if chosen and end < len(entries) else None
    encoded = [encode(entry) for entry in chosen]
    tag = tag_of((digest for _, digest in encoded), len(entries), after)
    return Listing([item for item, _ in encoded], tag, len(entries), after)


def tag_of(digests: Iterable[bytes], total: int, after: str | None = None) -> bytes:
    """Names the content of a list by its elements' digests, their order and what is said of it."""
    return digest_of(*digests, f"{total} {after or ''}".encode())
