"""Events as lines of the registry's central logs."""

from collections.abc import Sequence

from chassis.log_shipping import LogShipping
from event_pusher.domain.wire import Parcel
from event_pusher.reader import LogReader

EVENT_SERVICE = "Event"
_PAGE = 500


class CentralLines:
    """Ships what happens from its start on; while the registry is away too long, lines are lost.

    The event log itself has them all.
    """

    def __init__(self, shipping: LogShipping, reader: LogReader) -> None:
        self._shipping = shipping
        self._reader = reader
        self._last = 0

    async def start(self) -> None:
        """Begin after the newest event."""
        self._last = self._reader.newest
        await self._shipping.start()

    async def stop(self) -> None:
        """Send the rest."""
        await self._shipping.stop()

    async def follow(self, parcels: Sequence[Parcel]) -> None:
        """Ship these, or, where they do not continue what was shipped, what the log has."""
        if parcels and parcels[0].sequence == self._last + 1:
            self._add(parcels)
        while self._last < self._reader.newest:
            found = await self._reader.after(self._last, _PAGE)
            if not found:
                return
            self._add(found)

    def _add(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            self._shipping.add(parcel.plain.decode())
        self._last = parcels[-1].sequence
