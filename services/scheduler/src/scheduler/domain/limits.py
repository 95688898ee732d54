"""Times and counts by which the scheduler decides."""

from datetime import datetime

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, unless said otherwise.

    ``start``: an attempt that takes longer is ordered away (0: never). ``order``: an agent ignores
    an order that reaches it later. ``validity``: how long an agent may hold an unreported VM
    after its last confirmed heartbeat. ``skew``: clocks may differ so much. ``offline``: a node
    silent so long is Offline. ``keep``: ended records stay so long. ``attempts``: starts tried.
    ``ageing``: who waits so long goes before all priorities (0: never).
    ``save``: an image that is not in the registry so long after the order is given up.
    ``upgrade``: an agent that was told to upgrade is given so long to say hello.
    ``pool_patience``: a member of a pool that failed holds its place so long.
    ``unknown_reports``: reports of a VM ordered away before a warning is said.
    """

    start: float = 3600.0
    order: float = 60.0
    validity: float = 120.0
    skew: float = 5.0
    offline: float = 120.0
    keep: float = 60.0
    save: float = 6 * 3600.0
    upgrade: float = 600.0
    resend: float = 4.0
    pool_patience: float = 60.0
    ageing: float = 3600.0
    attempts: int = 5
    unknown_reports: int = 30
    heartbeat: float = 5.0
    heartbeats_per_second: float = 250.0
    node_flush: float = 1.0
    usage_flush: float = 15.0


class Moment(msgspec.Struct, frozen=True):
    """One reading of the clock: wall time, and seconds that only grow."""

    now: datetime
    tick: float
