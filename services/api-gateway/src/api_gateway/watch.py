"""Who waits for an instance to move."""

import asyncio

from prometheus_client import Gauge

WAITING = Gauge("corral_long_polls", "Requests that wait for an instance to move.")


class Watch:
    """One future per instance that is waited for, however many wait."""

    def __init__(self) -> None:
        self._waited: dict[str, asyncio.Future[None]] = {}
        self._ended = False

    def moved(self, identity: str) -> None:
        """Wake whoever waits for this instance."""
        waited = self._waited.pop(identity, None)
        if waited is not None:
            waited.set_result(None)

    async def wait(self, identity: str, seconds: float) -> None:
        """Return when the instance has moved, the time is over or the service ends."""
        if self._ended:
            return
        waited = self._waited.get(identity)
        if waited is None:
            waited = self._waited[identity] = asyncio.get_running_loop().create_future()
        with WAITING.track_inprogress():
            await asyncio.wait({waited}, timeout=seconds)

    @property
    def ended(self) -> bool:
        """Whether nobody shall wait any more."""
        return self._ended

    async def start(self) -> None:
        """See Part."""

    async def stop(self) -> None:
        """Let everybody go, with what is known now."""
        self._ended = True
        for identity in list(self._waited):
            self.moved(identity)
