"""Whether an endpoint may be tried: a circuit breaker, and since when nothing has arrived."""

from datetime import datetime, timedelta

import msgspec

FIRST_PAUSE = 0.5

LONGEST_HOLD = 3600.0
"""A receiver that is too busy is left alone for as long as it wishes, up to this many seconds."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """``parallel``: requests at a time. ``patience``: failures in a row before it is spared.

    It is then tried with one request at a time, after pauses that double up to ``longest_pause``
    seconds. ``days``: failing for so long, it is switched off.
    """

    parallel: int = 64
    patience: int = 10
    longest_pause: float = 30.0
    days: float = 5.0


class Condition:
    """Times come in, no clock is read: ``moment`` is monotonic, in seconds."""

    def __init__(self, limits: Limits, failing_since: datetime | None = None) -> None:
        self.failing_since = failing_since
        self._limits = limits
        self._failures = 0
        self._pause = 0.0
        self._not_before = 0.0
        self._held_until = 0.0

    @property
    def spared(self) -> bool:
        """Whether so much failed in a row that only one request at a time goes out."""
        return self._failures >= self._limits.patience

    def allowance(self, moment: float) -> int:
        """How many requests may be in flight now."""
        if moment < max(self._not_before, self._held_until):
            return 0
        return 1 if self.spared else self._limits.parallel

    def arrived(self) -> None:
        """Something arrived: all is well. It went out before any hold, so that goes on."""
        self._failures = 0
        self._pause = self._not_before = 0.0
        self.failing_since = None

    def failed(self, moment: float, now: datetime) -> None:
        """Something did not arrive."""
        self._failures += 1
        self.failing_since = self.failing_since or now
        if self.spared and moment >= max(self._not_before, self._held_until):
            self._pause = min(max(self._pause * 2, FIRST_PAUSE), self._limits.longest_pause)
            self._not_before = moment + self._pause

    def hold(self, moment: float, wish: float) -> None:
        """The receiver is too busy for ``wish`` seconds."""
        self._held_until = max(self._held_until, moment + min(wish, LONGEST_HOLD))

    def hopeless(self, now: datetime) -> bool:
        """Whether it failed for days, and does so now."""
        if self.failing_since is None or not self.spared:
            return False
        return now - self.failing_since >= timedelta(days=self._limits.days)
