"""Warm pools: VMs that are kept running for whoever asks for one like them.

A pool is all wish, no world: the gateway owns it, the scheduler keeps it filled with ordinary
instances whose ``spec.pool_id`` names it. A claim takes that field away.
"""

from datetime import datetime
from typing import TypeAlias

import msgspec

from contracts.messages import Fact
from contracts.vms import Overrides

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Days of the week, Monday first, as a schedule names them."""

POOL_PRIORITY = 10000
"""Priority of members of a pool that gives none: whoever really waits goes first."""

Minute: TypeAlias = int
"""Minute of the day, 0 to 1440."""


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """A size at certain hours; one that ends at or before its begin ends on the next day."""

    days: tuple[str, ...]
    begin: Minute
    end: Minute
    size: int


class PoolDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pool as stored in ``pools``. ``tag`` None is the latest; ``time_zone`` an IANA name.

    ``size`` holds at hours that no shift of ``schedule`` covers; the first that does wins.
    ``registry`` is the address that agents are given.
    """

    id: str = msgspec.field(name="_id")
    generation: int = msgspec.field(default_factory=lambda: 1)
    created: datetime
    name: str
    template_id: str
    tag: str | None = None
    group_id: str | None = None
    size: int = 0
    schedule: tuple[Shift, ...] = ()
    time_zone: str = "UTC"
    priority: int = 0
    overrides: Overrides = Overrides()
    registry: str = ""


class PoolChanged(Fact, frozen=True, kw_only=True, tag="pool.changed.v1"):
    """A pool was created or updated."""

    pool: PoolDocument


class PoolRemoved(Fact, frozen=True, kw_only=True, tag="pool.removed.v1"):
    """A pool is gone; its unclaimed members end."""

    pool_id: str
