"""From deliveries to handled batches: decode, handle together, settle; isolate what fails."""

import asyncio
import contextlib
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias, Union
from weakref import WeakSet

import msgspec
import structlog

from chassis.bus.port import Bus, Consumer, Delivery, Queue
from chassis.clock import Clock
from chassis.errors import BusDown, Unavailable
from chassis.telemetry import BATCH, HANDLE_SECONDS, MESSAGES, WAITING
from contracts.messages import Message

Handle = Callable[[Sequence[Message]], Awaitable[None]]
"""Handles a batch as one: all of it is done when it returns, none of it when it raises."""

MAX_BATCH = 1024
_Decoded: TypeAlias = tuple[Delivery, list[Message]]
_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
_log = structlog.get_logger()
_dispatchers: defaultdict[str, "WeakSet[Dispatcher]"] = defaultdict(WeakSet)


def _waiting(label: str) -> float:
    """Counted when it is asked for, so that a delivery pays nothing."""
    return sum(dispatcher.waiting for dispatcher in _dispatchers[label])


class Dispatcher:
    """Feeds one handler from some queues; a batch is whatever waits, one batch at a time.

    A failing batch is handled again item by item: only the bad item is retried later or goes to
    the dead letters. While something is Unavailable the batch waits and is tried again.
    """

    def __init__(
        self,
        bus: Bus,
        queues: Sequence[Queue],
        types: Iterable[type[Message]],
        handle: Handle,
        clock: Clock,
        ready: Callable[[], None] | None = None,
    ) -> None:
        self._bus = bus
        self._queues = queues
        self._types = tuple(types)
        self._many = msgspec.json.Decoder(list[Union[self._types]])  # type: ignore[name-defined]
        self._raw = msgspec.json.Decoder(list[msgspec.Raw])
        self._one = msgspec.json.Decoder(Union[self._types])
        self._handle = handle
        self._clock = clock
        self._ready = ready
        self._name = queues[0].name
        self._measure(queues[0].label)
        self._waiting: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._consumers: list[Consumer] = []
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Deliveries that came and are not being handled yet."""
        return len(self._waiting)

    async def start(self) -> None:
        """Subscribe and begin to handle."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"dispatch:{self._name}")
        for queue in self._queues:
            self._consumers.append(await self._bus.consume(queue, self._receive, self._ready))

    async def stop(self) -> None:
        """Take no more, finish the batch at hand; the rest goes back to the queue."""
        self._stopping = True
        self._arrived.set()
        if self._task is not None:
            await self._task
        for consumer in self._consumers:
            await consumer.stop()
        self._consumers.clear()
        self._waiting.clear()

    def _receive(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        self._arrived.set()

    def _measure(self, label: str) -> None:
        self._handled = MESSAGES.labels(label, "handled")
        self._items = BATCH.labels(label)
        self._seconds = HANDLE_SECONDS.labels(label)
        for outcome in ("retried", "dead"):  # present from the start: the first one counts as well
            MESSAGES.labels(label, outcome)
        _dispatchers[label].add(self)
        WAITING.labels(label).set_function(partial(_waiting, label))

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            if self._stopping:
                return
            if not self._waiting:
                self._arrived.clear()
                continue
            try:
                await self._batch()
            except Exception:
                _log.exception("dispatch.failed", queue=self._name)

    async def _batch(self) -> None:
        batch: list[_Decoded] = []
        size = 0
        try:
            while self._waiting and size < MAX_BATCH:
                delivery = self._waiting.popleft()
                items = await self._decode(delivery)
                batch.append((delivery, items))
                size += len(items)
            await self._handle_batch(batch, size)
        except _Stopped:
            return  # nothing is acknowledged: all of it comes again

    async def _handle_batch(self, batch: Sequence[_Decoded], size: int) -> None:
        started = time.perf_counter()
        try:
            if size:
                await self._patiently([message for _, items in batch for message in items])
        except _Stopped:
            raise
        except Exception:
            _log.exception("dispatch.batch_failed", queue=self._name, items=size)
            await self._one_by_one(batch)
            return
        finally:
            self._seconds.observe(time.perf_counter() - started)
        self._items.observe(size)
        self._handled.inc(size)
        for delivery, _ in batch:
            await self._acknowledge(delivery)

    async def _decode(self, delivery: Delivery) -> list[Message]:
        try:
            return self._many.decode(delivery.body)
        except msgspec.MsgspecError:
            return await self._decode_each(delivery)

    async def _decode_each(self, delivery: Delivery) -> list[Message]:
        """What is well-formed in a body; every bad item goes to the dead letters with its error."""
        try:
            items = self._raw.decode(delivery.body)
        except msgspec.MsgspecError as error:
            await self._bury(delivery, delivery.body, str(error))
            return []
        good: list[Message] = []
        for item in items:
            try:
                good.append(self._one.decode(item))
            except msgspec.MsgspecError as error:
                await self._bury(delivery, b"[" + bytes(item) + b"]", str(error))
        return good

    async def _bury(self, delivery: Delivery, body: bytes, reason: str) -> None:
        _log.error("dispatch.undecodable", queue=self._name, key=delivery.key, reason=reason)
        await self._insist(lambda: delivery.dead_letter(body, reason))

    async def _insist(self, call: Callable[[], Awaitable[None]]) -> None:
        """Do it; wait and try again for as long as something is merely unavailable."""
        for tries in itertools.count():
            try:
                await call()
            except Unavailable as error:
                if self._stopping:
                    raise _Stopped from error
                _log.warning("dispatch.unavailable", queue=self._name, error=str(error))
                await self._clock.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            else:
                return

    async def _patiently(self, messages: Sequence[Message]) -> None:
        await self._insist(lambda: self._handle(messages))

    async def _one_by_one(self, batch: Sequence[_Decoded]) -> None:
        for delivery, items in batch:
            for message in items:
                await self._alone(delivery, message)
            await self._acknowledge(delivery)

    async def _alone(self, delivery: Delivery, message: Message) -> None:
        try:
            await self._patiently([message])
        except _Stopped:
            raise
        except Exception:
            _log.exception("dispatch.item_failed", queue=self._name, kind=type(message).__name__)
            body = msgspec.json.encode([message])
            await self._insist(lambda: delivery.retry(body))
        else:
            self._handled.inc()

    async def _acknowledge(self, delivery: Delivery) -> None:
        with contextlib.suppress(BusDown):  # a lost acknowledgement means a repeat
            await delivery.ack()


class _Stopped(Exception):
    """The dispatcher ends while its batch could not be handled."""
