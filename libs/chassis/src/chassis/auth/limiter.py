"""How often one address may try to log in."""

from chassis.clock import Clock
from chassis.errors import TooManyTries

FAILURE = 20
"""What a failed try counts for."""

_BURST = 4
_MANY = 10_000
"""Addresses that are remembered before those with nothing against them are forgotten."""


class LoginLimiter:
    """A bucket per address, in this process: ``rate`` steps a second, four times that at once."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._full = rate * _BURST
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, address: str) -> None:
        """Count a step of a login; TooManyTries."""
        if self._left(address) < 1:
            raise TooManyTries
        self._take(address, 1)

    def failed(self, address: str) -> None:
        """It failed."""
        self._take(address, FAILURE)

    def _left(self, address: str) -> float:
        left, at = self._buckets.get(address, (self._full, 0.0))
        return min(self._full, left + (self._clock.monotonic() - at) * self._rate)

    def _take(self, address: str, steps: int) -> None:
        self._buckets[address] = (self._left(address) - steps, self._clock.monotonic())
        if len(self._buckets) > _MANY:
            tried = {a: b for a, b in self._buckets.items() if self._left(a) < self._full}
            self._buckets = tried
