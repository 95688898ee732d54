"""Following the event log without a hole, whatever a follower was told of."""

from collections.abc import Callable, Sequence

from event_pusher.domain.wire import Parcel
from event_pusher.reader import LogReader

_PAGE = 500


class Follower:
    """Hands everything after ``last`` to ``take``, in order; what that raises comes again."""

    def __init__(self, reader: LogReader, take: Callable[[Sequence[Parcel]], None]) -> None:
        self.last = 0
        self._reader = reader
        self._take = take

    async def follow(self, parcels: Sequence[Parcel]) -> None:
        """Take these, or, where they do not continue what was taken, what the log has."""
        if parcels and parcels[0].sequence == self.last + 1:
            self._taken(parcels)
        while self.last < self._reader.newest:
            found = await self._reader.after(self.last, _PAGE)
            if not found:
                return
            self._taken(found)

    def _taken(self, parcels: Sequence[Parcel]) -> None:
        self._take(parcels)
        self.last = parcels[-1].sequence
