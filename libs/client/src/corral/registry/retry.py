"""Trying again what may succeed the next time."""

import asyncio
import random

import aiohttp

from corral.registry.errors import RegistryDown, RegistryError

PASSING = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses that say nothing about the request itself."""

CUT = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)
"""What a lost connection looks like."""

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, RegistryError):
        return error.status in PASSING
    return isinstance(error, CUT)


class Patience:
    """Counts tries without progress; each pause is longer, and random so that clients spread."""

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self._failed = 0

    def progressed(self) -> None:
        """Something worked: begin to count anew."""
        self._failed = 0

    async def after(self, error: Exception, *, passing: bool = False) -> None:
        """Wait before the next try; raise when there is none left or the error is for good.

        ``passing``: the caller knows what to do differently the next time.
        """
        if not (passing or is_passing(error)):
            raise error
        self._failed += 1
        if self._failed >= self._tries:
            raise RegistryDown(f"no answer after {self._failed} tries: {error}") from error
        longest = min(_FIRST_PAUSE * 2.0 ** (self._failed - 1), _LONGEST_PAUSE)
        await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 -- spreads clients
