"""What followers of the log read from memory."""

from event_pusher.reader import RECENT, LogReader
from tests.pushing import a_parcel


class NoStore:
    """An event store that must not be asked."""


async def test_so_many_of_the_newest_parcels_are_read_from_memory():
    reader = LogReader(None, NoStore(), None)
    first = 1
    while first <= RECENT * 2:
        parcels = [a_parcel(number) for number in range(first, first + RECENT // 8)]
        reader.remember(parcels)
        first = parcels[-1].sequence + 1
        oldest = max(1, first - RECENT)
        found = await reader.after(oldest - 1, RECENT)
        assert [parcel.sequence for parcel in found] == list(range(oldest, first))
    assert len(reader._recent) == RECENT
