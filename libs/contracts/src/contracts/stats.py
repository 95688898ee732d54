"""How busy the scheduler is, as its leader writes it now and then."""

from datetime import datetime

import msgspec

STATS = "scheduler"
"""The id of the one document."""


class StatsDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Figures of the last minute, as stored in ``stats``; ``at`` is when it ended. Seconds.

    ``average_queue_time``: of the instances that got their first node, and of those that still
    wait for it. ``tasks_per_second``: messages handled. ``starts_per_second``: nodes given.
    ``waiting`` need a node now, the first of them for ``longest_wait``.
    """

    id: str = msgspec.field(name="_id")
    epoch: int
    at: datetime
    average_queue_time: float = 0.0
    tasks_per_second: float = 0.0
    starts_per_second: float = 0.0
    waiting: int = 0
    longest_wait: float = 0.0
