"""Brings the events of the log to one endpoint, and remembers what arrived."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec
import structlog

from chassis.clock import Clock
from contracts.events import EventHappened
from contracts.webhooks import Cause, Disabled, EndpointStatus, HistoryDocument, Outcome
from event_pusher.domain.condition import Condition, Limits
from event_pusher.domain.endpoint import Endpoint
from event_pusher.domain.lane import Lane
from event_pusher.domain.schedule import next_try
from event_pusher.domain.wire import Parcel
from event_pusher.feed import Feed
from event_pusher.post import Post, Verdict
from event_pusher.reader import LogReader
from event_pusher.sender import Reply
from event_pusher.store import EndpointStore

_PINGS = 10
"""Tests that are still sent when more were asked for at once."""

_LAST_WORDS = 3.0
"""Seconds that requests in flight get to finish when the courier stops."""

_log = structlog.get_logger()


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How a courier works: open deliveries at most, pauses between tries, when to spare it.

    It sends nothing while the lease is not ``held``.
    """

    window: int
    pauses: tuple[float, ...]
    limits: Limits
    held: Callable[[], bool]


class Courier:
    """Many requests at a time, one per subject and lane.

    ``unannounced``: it was switched off and nobody was told; until then that is not stored.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        reader: LogReader,
        states: EndpointStore,
        post: Post,
        *,
        pace: Pace,
        clock: Clock,
    ) -> None:
        self.endpoint = endpoint
        self.disabled: Disabled | None = None
        self.unannounced = False
        self._reader = reader
        self._states = states
        self._post = post
        self._pace = pace
        self._clock = clock
        self._feed = Feed(endpoint, reader, pace.window, self._hand_out)
        self._condition = Condition(pace.limits)
        self._delivered: datetime | None = None
        self._pinged = 0
        self._ready: deque[tuple[Lane, Parcel]] = deque()
        self._flying: set[asyncio.Task[None]] = set()
        self._pinging: asyncio.Task[None] | None = None
        self._running = False
        self._moved = True

    async def start(self) -> None:
        """Take up the stored state and go on where it ends."""
        name = self.endpoint.id
        known = await self._states.take(name)
        self._post.remember(await self._states.take_history(name))
        self._condition = Condition(self._pace.limits, known.failing_since)
        self._delivered, self._pinged, self.disabled = known.delivered, known.pinged, known.disabled
        await self._feed.start(known)
        self._running = True
        _log.info("courier.started", endpoint=name, cursor=known.cursor, open=len(known.open))
        self._ping_soon()
        self._launch()

    async def stop(self) -> None:
        """Send nothing new, give requests in flight a moment."""
        self._running = False
        await self._feed.stop()
        if self._pinging is not None:
            self._pinging.cancel()
        if self._flying:
            _, late = await asyncio.wait(self._flying, timeout=_LAST_WORDS)
            for delivery in late:
                delivery.cancel()
        self._post.close()

    @property
    def active(self) -> bool:
        """Whether events go out."""
        return self.endpoint.spec.enabled and not self.switched_off

    @property
    def switched_off(self) -> bool:
        """Whether its failures switched it off, and nobody has changed it since."""
        return self.disabled is not None and self.disabled.revision == self.endpoint.spec.revision

    @property
    def lag(self) -> int:
        """Events that are logged, but neither delivered nor passed over."""
        return self._feed.lag

    def apply(self, endpoint: Endpoint) -> None:
        """The wish has changed; what is under way stays under way."""
        was_off = self.switched_off
        self.endpoint = endpoint
        self._moved = True
        self._feed.apply(endpoint)
        if was_off and not self.switched_off:
            self.disabled, self.unannounced = None, False
            self._condition = Condition(self._pace.limits)
            self._feed.hurry()
        self._ping_soon()
        self._launch()

    def offer(self, parcels: Sequence[Parcel]) -> None:
        """Events just committed."""
        self._feed.offer(parcels)

    def tick(self) -> None:
        """Send what is due again, and what a pause held up."""
        self._feed.wake(self._clock.now())
        self._launch()

    def news(self) -> EndpointStatus | None:
        """The state, when it is newer than when this was asked last."""
        if not self._moved and not self._feed.moved:
            return None
        self._moved = self._feed.moved = False
        return msgspec.structs.replace(
            self._feed.progress(),
            observed_generation=self.endpoint.generation,
            failing_since=self._condition.failing_since,
            delivered=self._delivered,
            disabled=None if self.unannounced else self.disabled,
            pinged=self._pinged,
        )

    def not_stored(self) -> None:
        """The state that was told last is lost."""
        self._moved = True

    def farewell(self) -> EventHappened:
        """What is to be said of its end."""
        assert self.disabled is not None
        return self.endpoint.switched_off(self.disabled.cause, self.disabled.at)

    def history(self) -> HistoryDocument | None:
        """The last attempts, when there were any since this was asked last."""
        return self._post.news()

    def _hand_out(self, lane: Lane, parcels: Iterable[Parcel]) -> None:
        self._ready.extend([(lane, parcel) for parcel in parcels])
        self._launch()

    def _launch(self) -> None:
        """Send what may go now."""
        if not (self._ready and self._running and self.active and self._pace.held()):
            return
        allowed = self._condition.allowance(self._clock.monotonic()) - len(self._flying)
        for _ in range(min(allowed, len(self._ready))):
            delivery = asyncio.create_task(self._deliver(*self._ready.popleft()))
            self._flying.add(delivery)
            delivery.add_done_callback(self._landed)

    def _landed(self, delivery: asyncio.Task[None]) -> None:
        self._flying.discard(delivery)
        self._launch()

    async def _deliver(self, lane: Lane, parcel: Parcel) -> None:
        sent = await self._post.send(self.endpoint, parcel)
        attempt, outcome, due = lane.window.attempts(parcel.sequence) + 1, Outcome.DELIVERED, None
        if sent.reply.arrived:
            self._condition.arrived()
            self._delivered = sent.at
        else:
            due = self._failed(sent.reply, attempt)
            outcome = Outcome.FAILED if due else Outcome.GIVEN_UP
        replay = self._feed.is_replay(lane)
        verdict = Verdict(outcome=outcome, attempt=attempt, due=due, replay=replay)
        self._post.record(self.endpoint, parcel, sent, verdict)
        if due is not None:
            self._feed.failed(lane, parcel, due)
        else:
            self._feed.close(lane, parcel, given_up=outcome is Outcome.GIVEN_UP)

    def _failed(self, reply: Reply, attempt: int) -> datetime | None:
        """What a failure means for the endpoint; when to try again."""
        now, moment = self._clock.now(), self._clock.monotonic()
        self._condition.failed(moment, now)
        if reply.busy and reply.wish:
            self._condition.hold(moment, reply.wish)
        hopeless = self._condition.hopeless(now)
        if (reply.gone or hopeless) and self.endpoint.guarded and not self.switched_off:
            cause, revision = Cause.FAILING if hopeless else Cause.GONE, self.endpoint.spec.revision
            self.disabled = Disabled(cause=cause, at=now, revision=revision)
            self.unannounced = True
            _log.error("courier.switched_off", endpoint=self.endpoint.id, cause=cause)
        return next_try(now, attempt, reply.wish, self._pace.pauses)

    def _ping_soon(self) -> None:
        if self._running and (self._pinging is None or self._pinging.done()):
            self._pinging = asyncio.create_task(self._ping(), name=f"ping:{self.endpoint.id}")

    async def _ping(self) -> None:
        """Send the tests that were asked for, one after the other."""
        while self._pace.held() and self._pinged < (asked := self.endpoint.spec.pings):
            number = max(self._pinged + 1, asked - _PINGS + 1)
            parcel = self._reader.pack(self.endpoint.test(number, self._clock.now()))
            sent = await self._post.send(self.endpoint, parcel)
            outcome = Outcome.DELIVERED if sent.reply.arrived else Outcome.GIVEN_UP
            self._post.record(self.endpoint, parcel, sent, Verdict(outcome=outcome))
            self._pinged, self._moved = number, True
