"""Brings the events of the log to one endpoint, and remembers what arrived."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec
import structlog
from prometheus_client import Counter, Gauge
from yarl import URL

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.service import Loop
from contracts.events import EndpointStatus
from event_pusher.domain.delivery import Parcel, Window
from event_pusher.domain.endpoint import Endpoint
from event_pusher.domain.schedule import next_try
from event_pusher.reader import LogReader
from event_pusher.sender import Outcome, Sender
from event_pusher.store import EndpointStore

DELIVERIES = Counter(
    "corral_event_deliveries_total", "Delivery attempts by outcome.", ["endpoint", "outcome"]
)
LAG = Gauge("corral_event_delivery_lag", "Events logged but not yet delivered.", ["endpoint"])

_TICK = 0.25
_PAGE = 250
_LAST_WORDS = 3.0
"""Seconds that requests in flight get to finish when the courier stops."""

_log = structlog.get_logger()


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How a courier works: requests at a time, open deliveries, pauses between tries."""

    parallel: int
    window: int
    pauses: tuple[float, ...]


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """The lease under which a courier works; it sends nothing while it is not ``held``."""

    epoch: int
    held: Callable[[], bool]


class Courier:
    """Many requests at a time, one per subject; its state is stored at every tick, if it moved."""

    def __init__(
        self,
        endpoint: Endpoint,
        reader: LogReader,
        states: EndpointStore,
        sender: Sender,
        *,
        term: Term,
        pace: Pace,
        clock: Clock,
    ) -> None:
        self._endpoint = endpoint
        self._url = URL(endpoint.url)
        self._reader = reader
        self._states = states
        self._sender = sender
        self._term = term
        self._pace = pace
        self._clock = clock
        self._window = Window(0, pace.window)
        self._ready: asyncio.Queue[Parcel | None] = asyncio.Queue()
        self._hungry = asyncio.Event()
        self._moved = False
        self._stopping = False
        self._ticker = Loop(f"courier:{endpoint.id}", _TICK, self._tick, clock)
        self._feeder: asyncio.Task[None] | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._arrived = DELIVERIES.labels(endpoint.id, "delivered")
        self._lag = LAG.labels(endpoint.id)

    async def start(self) -> None:
        """Take up the stored state and go on where it ends."""
        name = self._endpoint.id
        status = await self._states.take(name, self._reader.newest, self._term.epoch)
        self._window = Window(status.cursor, self._pace.window)
        found = await self._reader.these([delivery.sequence for delivery in status.open])
        if missing := len(status.open) - len(found):
            _log.error("courier.events_missing", endpoint=name, events=missing)
        self._hand_out(self._window.restore(found, status.open))
        _log.info("courier.started", endpoint=name, cursor=status.cursor, open=len(status.open))
        self._hungry.set()
        self._feeder = asyncio.create_task(self._feed(), name=f"feeder:{name}")
        self._workers = [
            asyncio.create_task(self._work(), name=f"courier:{name}:{number}")
            for number in range(self._pace.parallel)
        ]
        await self._ticker.start()

    async def stop(self) -> None:
        """Send nothing new, give requests in flight a moment, store the state."""
        self._stopping = True
        await self._ticker.stop()
        if self._feeder is not None:
            self._feeder.cancel()
        for _ in self._workers:
            self._ready.put_nowait(None)
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=_LAST_WORDS)
            for worker in late:
                worker.cancel()
            await self._save()

    def offer(self, parcels: Sequence[Parcel]) -> None:
        """Events just committed; taken as they are unless older ones come first."""
        if not parcels or self._stopping:
            return
        if (
            parcels[0].sequence == self._window.cursor + 1
            and len(parcels) <= self._window.room
            and self._workers
        ):
            self._hand_out(self._window.add(parcels))
            self._moved = True
        else:
            self._hungry.set()

    @property
    def _behind(self) -> bool:
        return self._window.cursor < self._reader.newest

    def _hand_out(self, parcels: Iterable[Parcel]) -> None:
        for parcel in parcels:
            self._ready.put_nowait(parcel)

    async def _feed(self) -> None:
        """Read the log whenever there is room for what it has."""
        while True:
            await self._hungry.wait()
            self._hungry.clear()
            try:
                while self._behind and self._window.room:
                    await self._read()
            except Unavailable as error:
                _log.warning("courier.cannot_read", endpoint=self._endpoint.id, error=str(error))
            except Exception:
                _log.exception("courier.reading_failed", endpoint=self._endpoint.id)

    async def _read(self) -> None:
        limit = min(_PAGE, self._window.room)
        found = await self._reader.after(self._window.cursor, limit)
        # offer() may have moved the cursor, and taken the room, while the log was read
        fresh = [parcel for parcel in found if parcel.sequence > self._window.cursor]
        self._hand_out(self._window.add(fresh[: self._window.room]))
        self._moved = True

    async def _work(self) -> None:
        while not self._stopping:
            parcel = await self._ready.get()
            while not self._term.held() and not self._stopping:
                await self._clock.sleep(_TICK)
            if parcel is None or self._stopping:
                return
            try:
                outcome = await self._sender.send(self._url, parcel.body)
            except Exception as error:
                _log.exception("courier.send_failed", endpoint=self._endpoint.id)
                outcome = Outcome(error=repr(error))
            self._settle(parcel, outcome)

    def _settle(self, parcel: Parcel, outcome: Outcome) -> None:
        self._moved = True
        if outcome.arrived:
            self._arrived.inc()
            self._hand_out(self._window.done(parcel.sequence))
        else:
            self._failed(parcel, outcome)
        if self._behind and self._window.room >= self._pace.window // 2:
            self._hungry.set()

    def _failed(self, parcel: Parcel, outcome: Outcome) -> None:
        attempts = self._window.attempts(parcel.sequence) + 1
        due = next_try(self._clock.now(), attempts, outcome.wish, self._pace.pauses)
        if due is None:
            self._report(parcel, outcome, "given_up", attempts, due)
            self._hand_out(self._window.done(parcel.sequence))
        else:
            self._report(parcel, outcome, "failed", attempts, due)
            self._window.failed(parcel.sequence, due)

    def _report(
        self, parcel: Parcel, outcome: Outcome, word: str, attempts: int, due: datetime | None
    ) -> None:
        DELIVERIES.labels(self._endpoint.id, word).inc()
        _log.warning(
            f"delivery.{word}",
            endpoint=self._endpoint.id,
            sequence=parcel.sequence,
            status=outcome.status,
            error=outcome.error,
            attempts=attempts,
            due=due,
        )

    async def _tick(self) -> None:
        """Hand out what is due again, store the state, say how far behind we are."""
        self._hand_out(self._window.due(self._clock.now()))
        if self._behind:
            self._hungry.set()
        self._lag.set(self._reader.newest - self._window.cursor + len(self._window))
        await self._save()

    async def _save(self) -> None:
        if not self._moved:
            return
        self._moved = False
        progress = self._window.progress()
        status = EndpointStatus(cursor=progress.cursor, open=progress.open, epoch=self._term.epoch)
        try:
            kept = await self._states.save(self._endpoint.id, status)
        except BaseException:
            self._moved = True
            raise
        if not kept:
            _log.warning("courier.superseded", endpoint=self._endpoint.id)
