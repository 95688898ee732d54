"""Requests about warm pools."""

from typing import Annotated

import msgspec

from api_gateway.domain.pool_request import MAX_SHIFTS, TIME
from api_gateway.requests.instances import OverridesRequest
from api_gateway.requests.values import Priority, Size, Text, entire, one_of
from contracts.pools import DAYS

_Day = Annotated[str, one_of(DAYS)]


class ShiftRequest(msgspec.Struct, kw_only=True, rename={"begin": "from", "end": "to"}):
    """Another size at certain hours."""

    days: Annotated[tuple[_Day, ...], msgspec.Meta(min_length=1)]
    begin: Annotated[str, msgspec.Meta(pattern=entire(TIME), examples=["07:30"])]
    end: Annotated[str, msgspec.Meta(pattern=entire(TIME))]
    size: Size


class PoolChanges(msgspec.Struct, kw_only=True):
    """What is not given stays."""

    name: Text | None = None
    vmid: Text | None = None
    tag: str | None = None
    group_id: str | None = None
    size: Size | None = None
    priority: Priority | None = None
    overrides: OverridesRequest | None = None
    time_zone: Annotated[str, msgspec.Meta(examples=["Europe/Berlin"])] | None = None
    schedule: Annotated[tuple[ShiftRequest, ...], msgspec.Meta(max_length=MAX_SHIFTS)] | None = None


class NewPool(PoolChanges, kw_only=True):
    """A warm pool."""

    name: Text
    vmid: Text
    size: Size
