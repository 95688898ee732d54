"""What was done within the last minute, second by second."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime

from contracts.stats import STATS, StatsDocument
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Moment

WINDOW = 60
"""Seconds that are looked back at."""


class _Second:
    """Messages handled, nodes given, first ones among them and how long those had waited."""

    __slots__ = ("at", "firsts", "placed", "tasks", "waited")

    def __init__(self, at: int) -> None:
        self.at = at
        self.tasks = self.placed = self.firsts = 0
        self.waited = 0.0


class Pace:
    """Counts from when it is made; ``begun`` is the clock's tick then."""

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._seconds: deque[_Second] = deque(maxlen=WINDOW + 1)

    def handled(self, messages: int, moment: Moment) -> None:
        """So many messages were handled."""
        self._now(moment).tasks += messages

    def placed(self, instance: Instance, moment: Moment) -> None:
        """An instance is about to get a node."""
        second = self._now(moment)
        second.placed += 1
        if instance.status.attempt == 0:
            second.firsts += 1
            second.waited += _age(instance, moment.now)

    def stats(self, instances: Iterable[Instance], epoch: int, moment: Moment) -> StatsDocument:
        """The figures now; ``instances`` are all there are."""
        waiting = [instance for instance in instances if instance.waiting]
        ages = [_age(i, moment.now) for i in waiting if i.status.attempt == 0]
        seconds = [s for s in self._seconds if moment.tick - s.at <= WINDOW]
        firsts = len(ages) + sum(second.firsts for second in seconds)
        waited = sum(ages) + sum(second.waited for second in seconds)
        span = min(max(moment.tick - self._begun, 1.0), WINDOW)
        return StatsDocument(
            id=STATS,
            epoch=epoch,
            at=moment.now,
            average_queue_time=waited / firsts if firsts else 0.0,
            tasks_per_second=sum(second.tasks for second in seconds) / span,
            starts_per_second=sum(second.placed for second in seconds) / span,
            waiting=len(waiting),
            longest_wait=max((_age(i, moment.now) for i in waiting), default=0.0),
        )

    def _now(self, moment: Moment) -> _Second:
        at = int(moment.tick)
        if not self._seconds or self._seconds[-1].at != at:
            self._seconds.append(_Second(at))
        return self._seconds[-1]


def _age(instance: Instance, now: datetime) -> float:
    """Clocks of gateways may be a little ahead."""
    return max((now - instance.created).total_seconds(), 0.0)
