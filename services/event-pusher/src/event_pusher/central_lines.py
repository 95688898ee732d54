"""Events as lines of the registry's central logs."""

from collections.abc import Sequence

from chassis.log_shipping import LogShipping
from event_pusher.domain.wire import Parcel
from event_pusher.follower import Follower
from event_pusher.reader import LogReader

EVENT_SERVICE = "Event"


class CentralLines:
    """Ships what happens from its start on; while the registry is away too long, lines are lost.

    The event log itself has them all.
    """

    def __init__(self, shipping: LogShipping, reader: LogReader) -> None:
        self._shipping = shipping
        self._reader = reader
        self._follower = Follower(reader, self._ship)

    async def start(self) -> None:
        """Begin after the newest event."""
        self._follower.last = self._reader.newest
        await self._shipping.start()

    async def stop(self) -> None:
        """Send the rest."""
        await self._shipping.stop()

    async def follow(self, parcels: Sequence[Parcel]) -> None:
        """See Follower."""
        await self._follower.follow(parcels)

    def _ship(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            self._shipping.add(parcel.plain.decode())
