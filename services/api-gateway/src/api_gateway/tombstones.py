"""Ids that were removed, remembered for as long as a late message may name them."""

from collections import deque

from chassis.clock import Clock

KEPT_SECONDS = 600.0


class Tombstones:
    """A set whose members leave ten minutes after they came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ids: set[str] = set()
        self._order: deque[tuple[float, str]] = deque()

    def add(self, identity: str) -> None:
        """Remember an id from now on."""
        now = self._clock.monotonic()
        while self._order and self._order[0][0] <= now - KEPT_SECONDS:
            self._ids.discard(self._order.popleft()[1])
        if identity not in self._ids:
            self._ids.add(identity)
            self._order.append((now, identity))

    def __contains__(self, identity: str) -> bool:
        return identity in self._ids
