"""One way of an endpoint through the log: a window, and what of the log goes into it."""

from collections.abc import Callable, Iterable, Sequence

from contracts.webhooks import OpenDelivery, Replay, ReplayProgress
from event_pusher.domain.delivery import Window
from event_pusher.domain.wire import Parcel


class Lane:
    """``last`` tells the sequence at which it ends for now; ``wanted`` says what is delivered."""

    def __init__(
        self, window: Window, last: Callable[[], int], wanted: Callable[[Parcel], bool]
    ) -> None:
        self.window = window
        self._last = last
        self.wanted = wanted

    @property
    def behind(self) -> bool:
        """Whether the log has something that was not looked at yet."""
        return self.window.cursor < self._last()

    @property
    def hungry(self) -> bool:
        """Whether reading on is worth it: the log has more, and half of the window is free."""
        return self.behind and self.window.room * 2 >= self.window.limit

    @property
    def done(self) -> bool:
        """Whether all of it was looked at, and nothing is open."""
        return not self.behind and not len(self.window)

    def take(self, parcels: Iterable[Parcel]) -> list[Parcel]:
        """Open what is wanted of these, in log order, while there is room; see Window.add."""
        ready: list[Parcel] = []
        for parcel in parcels:
            if parcel.sequence <= self.window.cursor:
                continue  # offered while the log was read
            if parcel.sequence > self._last():
                self.end()
                break
            if not self.wanted(parcel):
                self.window.skip(parcel.sequence)
            elif self.window.room:
                ready += self.window.add([parcel])
            else:
                break
        return ready

    def end(self) -> None:
        """The log has nothing more up to where the lane ends."""
        self.window.skip(max(self.window.cursor, self._last()))


class ReplayLane(Lane):
    """A piece of the past, once again."""

    def __init__(
        self, replay: Replay, progress: ReplayProgress, limit: int, wants: Callable[[str], bool]
    ) -> None:
        def wanted(parcel: Parcel) -> bool:
            return (
                wants(parcel.kind)
                and (replay.since is None or parcel.at >= replay.since)
                and (replay.until is None or parcel.at < replay.until)
            )

        super().__init__(Window(progress.cursor, limit), lambda: replay.last, wanted)
        self.number = replay.number

    def progress(self) -> ReplayProgress:
        """What to store."""
        moved = self.window.progress()
        return ReplayProgress(number=self.number, cursor=moved.cursor, open=moved.open)


def first_progress(replay: Replay, given_up: Sequence[int]) -> ReplayProgress:
    """Where a replay begins: with what was given up, or before its first event."""
    if not replay.failed:
        return ReplayProgress(number=replay.number, cursor=replay.first - 1)
    chosen = sorted(sequence for sequence in given_up if replay.first <= sequence <= replay.last)
    again = tuple(OpenDelivery(sequence=sequence) for sequence in chosen)
    return ReplayProgress(number=replay.number, cursor=replay.last, open=again)
