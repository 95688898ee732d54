"""How long chance may try: a few fixed tries with the tests, minutes of new ones by `make fuzz`."""

import itertools
import os
import secrets
import time
from collections.abc import Iterator

from hypothesis import HealthCheck, Phase, settings

_SECONDS = float(os.environ.get("CORRAL_FUZZ_SECONDS", "0"))

LONG = _SECONDS > 0
"""Whether new tries are made each time."""


_FIRST = int(os.environ.get("CORRAL_FUZZ_SEED") or secrets.randbelow(1 << 30))


def rounds(share: float) -> Iterator[int]:
    """Seeds of rounds: one, or as many as begin within this share of the given time."""
    end = time.monotonic() + _SECONDS * share
    for number in itertools.count(_FIRST):
        if LONG:
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
