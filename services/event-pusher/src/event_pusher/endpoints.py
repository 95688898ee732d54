"""Every endpoint has its courier, as it is wished now; their states are stored together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import Gauge

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.service import Loop
from contracts.events import EventHappened
from contracts.webhooks import EVENT_LOG
from event_pusher.courier import Courier
from event_pusher.domain.endpoint import Endpoint
from event_pusher.domain.wire import Parcel
from event_pusher.reader import LogReader
from event_pusher.store import EndpointStore, Wish

LAG = Gauge("corral_event_delivery_lag", "Events that the endpoint furthest behind has not got.")
ENDPOINTS = Gauge("corral_event_endpoints", "Receivers of events.", ["state"])

_TICK = 0.25
_HISTORY_SECONDS = 1.0
_log = structlog.get_logger()

Record = Callable[[Sequence[EventHappened]], Awaitable[None]]
MakeCourier = Callable[[Endpoint], Courier]


class Endpoints:
    """Reads the wishes when it is woken and every ``seconds``; stores at every tick what moved.

    ``fixed`` is the endpoint that the settings name, if any: its record holds its state, its
    tests and its replays, never its URL.
    """

    def __init__(
        self,
        states: EndpointStore,
        reader: LogReader,
        make: MakeCourier,
        record: Record,
        *,
        fixed: Endpoint | None,
        seconds: float,
        clock: Clock,
    ) -> None:
        self._states = states
        self._reader = reader
        self._make = make
        self._record = record
        self._fixed = fixed
        self._couriers: dict[str, Courier] = {}
        self._woken = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self._loops = [
            Loop("endpoints", _TICK, self._tick, clock),
            Loop("wishes", seconds, self._sweep, clock),
            Loop("histories", _HISTORY_SECONDS, self._save_histories, clock),
        ]

    async def start(self) -> None:
        """Start every courier."""
        try:
            if self._fixed is not None:
                await self._states.ensure(EVENT_LOG, self._reader.newest)
            await self._reconcile()
        except BaseException:
            await self._stop_couriers()
            raise
        self._follower = asyncio.create_task(self._follow(), name="endpoints:wishes")
        for loop in self._loops:
            await loop.start()

    async def stop(self) -> None:
        """Stop every courier, store what they know."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        for loop in self._loops:
            await loop.stop()
        await self._stop_couriers()
        await self._save()
        await self._save_histories()

    def wake(self) -> None:
        """A wish may have changed."""
        self._woken.set()

    def offer(self, parcels: Sequence[Parcel]) -> None:
        """Events just committed."""
        for courier in self._couriers.values():
            courier.offer(parcels)

    async def _sweep(self) -> None:
        self.wake()

    async def _follow(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._reconcile()
            except Unavailable as error:
                _log.warning("endpoints.not_read", error=str(error))
            except Exception:
                _log.exception("endpoints.failed")

    async def _reconcile(self) -> None:
        """Couriers for what is wished, and none for what is not."""
        wished = {wish.id: wish for wish in await self._states.wishes()}
        if self._fixed is None:
            wished.pop(EVENT_LOG, None)
        gone = [name for name in self._couriers if name not in wished]
        gone += [name for name, wish in wished.items() if wish.spec.remove]
        await asyncio.gather(*(self._remove(name) for name in gone))
        new = [
            wish for name, wish in wished.items() if name not in self._couriers and name not in gone
        ]
        begun = [self._begin(self._endpoint(wish)) for wish in new]
        for failure in await asyncio.gather(*begun, return_exceptions=True):
            if failure is not None:
                raise failure
        for name, courier in self._couriers.items():
            if courier.endpoint.generation < wished[name].generation:
                courier.apply(self._endpoint(wished[name]))

    def _endpoint(self, wish: Wish) -> Endpoint:
        endpoint = Endpoint(id=wish.id, generation=wish.generation, spec=wish.spec)
        return self._fixed.wishing(endpoint) if self._fixed and wish.id == EVENT_LOG else endpoint

    async def _begin(self, endpoint: Endpoint) -> None:
        """One that cannot be read holds up no other; it is tried again."""
        courier = self._make(endpoint)
        try:
            await courier.start()
        except Unavailable:
            raise
        except Exception:
            _log.exception("endpoints.cannot_begin", endpoint=endpoint.id)
        else:
            self._couriers[endpoint.id] = courier

    async def _stop_couriers(self) -> None:
        await asyncio.gather(*(courier.stop() for courier in self._couriers.values()))

    async def _remove(self, name: str) -> None:
        courier = self._couriers.pop(name, None)
        if courier is not None:
            await courier.stop()
        await self._states.remove(name)

    async def _tick(self) -> None:
        """Move every courier on, say which are switched off, store what moved."""
        for courier in self._couriers.values():
            courier.tick()
        await self._announce()
        await self._save()
        self._count()

    async def _announce(self) -> None:
        """Before it is stored: a crash in between says it again, under the same id."""
        silent = [courier for courier in self._couriers.values() if courier.unannounced]
        if silent:
            await self._record([courier.farewell() for courier in silent])
        for courier in silent:
            courier.unannounced = False

    async def _save(self) -> None:
        news = {name: courier.news() for name, courier in self._couriers.items()}
        states = {name: status for name, status in news.items() if status is not None}
        if not states:
            return
        try:
            kept = await self._states.save(states)
        except BaseException:
            for name in states.keys() & self._couriers.keys():
                self._couriers[name].not_stored()
            raise
        if kept < len(states):
            _log.warning("endpoints.superseded", endpoints=len(states) - kept)

    async def _save_histories(self) -> None:
        found = [courier.history() for courier in self._couriers.values()]
        if histories := [history for history in found if history is not None]:
            await self._states.save_histories(histories)

    def _count(self) -> None:
        couriers = list(self._couriers.values())
        LAG.set(max((courier.lag for courier in couriers if courier.active), default=0))
        active = sum(courier.active for courier in couriers)
        switched_off = sum(courier.switched_off for courier in couriers)
        ENDPOINTS.labels("active").set(active)
        ENDPOINTS.labels("switched_off").set(switched_off)
        ENDPOINTS.labels("paused").set(len(couriers) - active - switched_off)
