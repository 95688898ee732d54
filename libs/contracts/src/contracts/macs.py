"""MAC addresses that the cloud hands out: what operators wish of the pool, and what it is."""

import re
from datetime import datetime

import msgspec

from contracts.documents import Pending
from contracts.messages import Command

POOL = "pool"
"""The id of the one document."""

MAC_ADDRESS = "[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}"
"""A pattern of the whole text."""

_ADDRESS = re.compile(MAC_ADDRESS)
_PAIRS = range(0, 12, 2)


def mac_text(number: int) -> str:
    """An address as people write it: capital letters, ``:`` between."""
    digits = f"{number:012X}"
    return ":".join(digits[place : place + 2] for place in _PAIRS)


def mac_number(text: str) -> int | None:
    """The number that an address is; None for any other text."""
    return int(text.replace(":", ""), 16) if _ADDRESS.fullmatch(text) else None


class MacPoolSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The wish, written by the gateway. ``purged``: hand out none until the next fill."""

    purged: bool = False
    actor: str = ""
    request_id: str = ""


class MacPoolStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The world, written by the scheduler: its settings. ``first`` and ``last`` are in the range.

    Which addresses are in use is not stored: the documents of the instances say so.
    """

    observed_generation: int = 0
    managed: bool = False
    first: str = ""
    last: str = ""
    changed: datetime


class MacPoolDocument(Pending, frozen=True, kw_only=True, omit_defaults=True):
    """The pool as stored in ``mac_pool``; it is there once addresses have been managed."""

    spec: MacPoolSpec
    status: MacPoolStatus


class FillMacPool(Command, frozen=True, kw_only=True, tag="macs.fill.v1"):
    """``spec.purged`` was cleared with this generation."""

    generation: int
    spec: MacPoolSpec


class PurgeMacPool(Command, frozen=True, kw_only=True, tag="macs.purge.v1"):
    """``spec.purged`` was set with this generation."""

    generation: int
    spec: MacPoolSpec
