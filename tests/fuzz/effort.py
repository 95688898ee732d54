"""How long chance may try: a few fixed tries with the tests, minutes of new ones by `make fuzz`.

``CORRAL_FUZZ_SECONDS`` is the time that new tries get. ``CORRAL_FUZZ_SEED`` is the first of them,
without a time the only one: so a round that failed is made again.
"""

import itertools
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, settings

_LAST_ROUND = 1200.0
"""Seconds that a round may take which has begun when the time is over."""


class Effort(NamedTuple):
    """``seconds`` for new tries, ``first`` the seed of the first.

    ``long``: whether tries are by seeds rather than always the same. ``limit`` of a test, in
    seconds.
    """

    seconds: float
    first: int
    long: bool
    limit: float


def wanted(given: Mapping[str, str]) -> Effort:
    """What the environment asks for."""
    seconds = float(given.get("CORRAL_FUZZ_SECONDS") or 0)
    chosen = given.get("CORRAL_FUZZ_SEED")
    long = seconds > 0 or bool(chosen)
    return Effort(
        seconds=seconds,
        first=int(chosen or secrets.randbelow(1 << 30)),
        long=long,
        limit=seconds + _LAST_ROUND if long else 300.0,
    )


_EFFORT = wanted(os.environ)
LONG, LIMIT = _EFFORT.long, _EFFORT.limit


def rounds(share: float, effort: Effort = _EFFORT) -> Iterator[int]:
    """Seeds of rounds: one, or as many as begin within this share of the given time."""
    end = time.monotonic() + effort.seconds * share
    for number in itertools.count(effort.first):
        if effort.long:
            print(f"round CORRAL_FUZZ_SEED={number}")
        yield number
        if time.monotonic() >= end:
            return


def tries(few: int, many: int, *, shrink: bool = True, **given: int) -> settings:
    """``few`` that are always the same, or ``many``; then what failed is made as small as can be.

    Not ``shrink``: what failed once need not fail again.
    """
    phases = (Phase.generate, Phase.shrink) if LONG and shrink else (Phase.generate,)
    return settings(
        max_examples=many if LONG else few,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        **given,
    )
