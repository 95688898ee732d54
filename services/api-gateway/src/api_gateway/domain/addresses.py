"""Which MAC addresses are free and which are used, counted and page by page."""

from collections.abc import Collection, Iterator
from itertools import islice

from contracts.macs import MacPoolDocument, mac_number, mac_text


class Addresses:
    """The pool's addresses beside those that instances use. Purged, it has none that is free."""

    def __init__(self, pool: MacPoolDocument, used: Collection[str]) -> None:
        numbers = {mac_number(text) for text in used}
        self._used = sorted(number for number in numbers if number is not None)
        first, last = mac_number(pool.status.first), mac_number(pool.status.last)
        self._range = range(0)
        if not (pool.spec.purged or first is None or last is None):
            self._range = range(first, last + 1)

    def count(self, *, in_use: bool) -> int:
        """How many."""
        if in_use:
            return len(self._used)
        return len(self._range) - sum(number in self._range for number in self._used)

    def page(self, after: int | None, limit: int, *, in_use: bool) -> list[str]:
        """At most ``limit``, in order, beginning behind the address ``after``."""
        begin = -1 if after is None else after
        numbers = self._used if in_use else self._free(begin)
        return [mac_text(number) for number in islice((n for n in numbers if n > begin), limit)]

    def _free(self, begin: int) -> Iterator[int]:
        used = set(self._used)
        start = max(begin + 1, self._range.start)
        return (number for number in range(start, self._range.stop) if number not in used)
