"""What an endpoint still has to get: the events of now, and beside them a replay of old ones."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec
import structlog

from chassis.errors import Unavailable
from contracts.webhooks import EndpointStatus, OpenDelivery, Replay
from event_pusher.domain.delivery import Window
from event_pusher.domain.endpoint import Endpoint
from event_pusher.domain.lane import Lane, ReplayLane, first_progress
from event_pusher.domain.wire import Parcel
from event_pusher.reader import LogReader

_PAGE = 250
_GIVEN_UP = 1000
_log = structlog.get_logger()

HandOut = Callable[[Lane, Iterable[Parcel]], None]


class Feed:
    """Reads the log while there is room; what may be sent now is handed out.

    ``limit``: open deliveries of each lane. ``moved``: there is something new to store.
    """

    def __init__(
        self, endpoint: Endpoint, reader: LogReader, limit: int, hand_out: HandOut
    ) -> None:
        self.endpoint = endpoint
        self.moved = False
        self._reader = reader
        self._limit = limit
        self._hand_out = hand_out
        self._known = EndpointStatus(cursor=0)
        self._live = self._lane(0)
        self._replay: ReplayLane | None = None
        self._given_up: deque[int] = deque(maxlen=_GIVEN_UP)
        self._hungry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, known: EndpointStatus) -> None:
        """Go on where the stored state ends."""
        self._known = known
        self._given_up.extend(known.given_up)
        self._live = self._lane(known.cursor)
        self._restore(self._live, known.open, await self._these(known.open))
        self._hungry.set()
        self._task = asyncio.create_task(self._run(), name=f"feed:{self.endpoint.id}")

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @property
    def lag(self) -> int:
        """Events that are logged, but neither delivered nor passed over."""
        return self._reader.newest - self._live.window.cursor + len(self._live.window)

    def apply(self, endpoint: Endpoint) -> None:
        """The wish has changed."""
        self.endpoint = endpoint
        self._hungry.set()

    def offer(self, parcels: Sequence[Parcel]) -> None:
        """Events just committed; taken as they are unless older ones come first."""
        if self._task and parcels and parcels[0].sequence == self._live.window.cursor + 1:
            self.moved = True
            self._hand_out(self._live, self._live.take(parcels))
        if self._live.behind:
            self._hungry.set()

    def wake(self, now: datetime) -> None:
        """Hand out what is due again; read on."""
        for lane in self._lanes():
            self._hand_out(lane, lane.window.due(now))
        if self._live.behind or self._replay is not None or self._next_replay() is not None:
            self._hungry.set()

    def hurry(self) -> None:
        """Hand out everything that waits for a retry."""
        for lane in self._lanes():
            self._hand_out(lane, lane.window.hurry())

    def is_replay(self, lane: Lane) -> bool:
        """Whether this lane is no part of what happens now."""
        return lane is not self._live

    def failed(self, lane: Lane, parcel: Parcel, due: datetime) -> None:
        """It did not arrive; it is handed out again when it is due."""
        self.moved = True
        lane.window.failed(parcel.sequence, due)

    def close(self, lane: Lane, parcel: Parcel, *, given_up: bool) -> None:
        """It arrived, or is given up: the next of its subject may go."""
        self.moved = True
        if given_up:
            self._given_up.append(parcel.sequence)
        self._hand_out(lane, lane.window.done(parcel.sequence))
        if lane.done if self.is_replay(lane) else lane.hungry:
            self._hungry.set()

    def progress(self) -> EndpointStatus:
        """The part of the state that is ours."""
        live = self._live.window.progress()
        return msgspec.structs.replace(
            self._known,
            cursor=live.cursor,
            open=live.open,
            given_up=tuple(self._given_up),
            replay=self._replay.progress() if self._replay else self._known.replay,
        )

    def _lane(self, cursor: int) -> Lane:
        return Lane(Window(cursor, self._limit), lambda: self._reader.newest, self._wanted)

    def _lanes(self) -> list[Lane]:
        return [self._live, self._replay] if self._replay else [self._live]

    def _wanted(self, parcel: Parcel) -> bool:
        return self.endpoint.wants(parcel.kind)

    async def _these(self, open_: Sequence[OpenDelivery]) -> list[Parcel]:
        found = await self._reader.these([delivery.sequence for delivery in open_])
        if missing := len(open_) - len(found):
            _log.error("feed.events_expired", endpoint=self.endpoint.id, events=missing)
        return found

    def _restore(
        self, lane: Lane, open_: Sequence[OpenDelivery], parcels: Sequence[Parcel]
    ) -> None:
        self._hand_out(lane, lane.window.restore(parcels, open_))

    def _take_back(self, open_: Sequence[OpenDelivery]) -> None:
        taken = {delivery.sequence for delivery in open_}
        kept = [sequence for sequence in self._given_up if sequence not in taken]
        self._given_up = deque(kept, maxlen=_GIVEN_UP)

    async def _run(self) -> None:
        while True:
            await self._hungry.wait()
            self._hungry.clear()
            try:
                await self._turn_to_replay()
                for lane in self._lanes():
                    while lane.behind and lane.window.room and await self._read(lane):
                        pass
            except Unavailable as error:
                _log.warning("feed.cannot_read", endpoint=self.endpoint.id, error=str(error))
            except Exception:
                _log.exception("feed.failed", endpoint=self.endpoint.id)

    async def _read(self, lane: Lane) -> bool:
        """Whether the log had more."""
        cursor = lane.window.cursor
        found = await self._reader.after(cursor, _PAGE)
        self.moved = True
        if not self.is_replay(lane) and found and found[0].sequence > cursor + 1:
            expired = found[0].sequence - cursor - 1
            _log.error("feed.events_expired", endpoint=self.endpoint.id, events=expired)
        if not found and self.is_replay(lane):
            lane.end()
        self._hand_out(lane, lane.take(found))
        return bool(found)

    def _next_replay(self) -> Replay | None:
        wished = [r for r in self.endpoint.spec.replays if r.number > self._known.replayed]
        return min(wished, key=lambda replay: replay.number, default=None)

    async def _turn_to_replay(self) -> None:
        """End a replay that is done, take up the next one that is wished."""
        if self._replay is not None and self._replay.done:
            done = self._replay.number
            self._known = msgspec.structs.replace(self._known, replayed=done, replay=None)
            self._replay, self.moved = None, True
        replay = self._next_replay()
        if self._replay is not None or replay is None:
            return
        known = self._known.replay
        resumed = known is not None and known.number == replay.number
        progress = known if known and resumed else first_progress(replay, self._given_up)
        parcels = await self._these(progress.open)
        lane = ReplayLane(replay, progress, self._limit, self.endpoint.wants)
        if not resumed:
            unwanted = {parcel.sequence for parcel in parcels if not lane.wanted(parcel)}
            parcels = [parcel for parcel in parcels if parcel.sequence not in unwanted]
            self._take_back([one for one in progress.open if one.sequence not in unwanted])
        self._replay = lane
        self.moved = True
        self._restore(lane, progress.open, parcels)
        self._hungry.set()
