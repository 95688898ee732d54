"""Making instances durable: concurrent requests share one insert and one publication."""

import asyncio
from collections.abc import Sequence

import structlog

from api_gateway.documents import Remembered
from api_gateway.metrics import ACCEPTED
from api_gateway.outgoing import Outgoing
from api_gateway.projection import Projection
from api_gateway.store import GatewayStore
from chassis.clock import Clock
from chassis.errors import Unavailable
from contracts.instances import InstanceDocument, StartVM

_log = structlog.get_logger()
_WITHDRAW_PAUSE = 2.0


class _Request:
    """Instances that come together or not at all, and who waits for them."""

    __slots__ = ("documents", "done")

    def __init__(self, documents: Sequence[InstanceDocument]) -> None:
        self.documents = documents
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Intake:
    """Takes whatever waits as one batch; nothing waits to fill one."""

    def __init__(
        self, store: GatewayStore, outgoing: Outgoing, projection: Projection, clock: Clock
    ) -> None:
        self._store = store
        self._outgoing = outgoing
        self._projection = projection
        self._clock = clock
        self._waiting: list[_Request] = []
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._withdrawals: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def accept(self, documents: Sequence[InstanceDocument]) -> None:
        """Return when all are durable; on any error none is left to run."""
        request = _Request(documents)
        self._waiting.append(request)
        self._arrived.set()
        await request.done
        self.announce(documents)

    async def accept_once(
        self, documents: Sequence[InstanceDocument], remembered: Remembered
    ) -> None:
        """The same under an idempotency key; Conflict when it was used meanwhile."""
        await self._store.insert_together(documents, remembered)
        self.announce(documents)

    def announce(self, documents: Sequence[InstanceDocument]) -> None:
        """Show instances that are durable, and wake whoever starts them."""
        ACCEPTED.inc(len(documents))
        for document in documents:
            self._projection.instances.merge(
                document.id,
                document.created,
                (document.generation, document.spec.without_script()),
                (document.status_revision, document.status),
            )
        self._outgoing.send(StartVM(instance=document) for document in documents)

    def withdraw_soon(self, ids: Sequence[str], of_request: str | None = None) -> None:
        """End what may have been stored, or claimed by this request, though it was said to fail."""
        task = asyncio.create_task(self._withdraw(ids, of_request), name="withdraw")
        self._withdrawals.add(task)
        task.add_done_callback(self._withdrawals.discard)

    async def start(self) -> None:
        """See Part."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name="intake")

    async def stop(self) -> None:
        """Finish the batch at hand."""
        self._stopping = True
        self._arrived.set()
        if self._task is not None:
            await self._task
        for task in tuple(self._withdrawals):
            task.cancel()
        await asyncio.gather(*self._withdrawals, return_exceptions=True)

    async def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._arrived.wait()
            self._arrived.clear()
            batch, self._waiting = self._waiting, []
            singles = [request for request in batch if len(request.documents) == 1]
            several = [request for request in batch if len(request.documents) > 1]
            await asyncio.gather(self._insert_singles(singles), *map(self._insert, several))

    async def _insert_singles(self, requests: Sequence[_Request]) -> None:
        """One round trip; should one document be refused, each is tried alone."""
        if not requests:
            return
        try:
            await self._store.insert_one_by_one([request.documents[0] for request in requests])
        except Unavailable as error:
            self._fail(requests, error)
        except Exception as error:
            if len(requests) == 1:
                self._fail(requests, error)
                return
            _log.exception("intake.batch_failed", requests=len(requests))
            await asyncio.gather(*map(self._insert_again, requests))
        else:
            self._succeed(requests)

    async def _insert_again(self, request: _Request) -> None:
        """An insert that may have happened already."""
        document = request.documents[0]
        try:
            if await self._store.instance(document.id) is None:
                await self._store.insert_one_by_one([document])
        except Exception as error:
            self._fail([request], error)
        else:
            self._succeed([request])

    async def _insert(self, request: _Request) -> None:
        try:
            await self._store.insert_together(request.documents)
        except Exception as error:
            self._fail([request], error)
        else:
            self._succeed([request])

    def _succeed(self, requests: Sequence[_Request]) -> None:
        for request in requests:
            if request.done.cancelled():
                self.announce(request.documents)
            else:
                request.done.set_result(None)

    def _fail(self, requests: Sequence[_Request], error: Exception) -> None:
        """Tell everybody, and end what may have been stored all the same."""
        if isinstance(error, Unavailable):
            self.withdraw_soon([d.id for request in requests for d in request.documents])
        for request in requests:
            if not request.done.cancelled():
                request.done.set_exception(error)

    async def _withdraw(self, ids: Sequence[str], of_request: str | None) -> None:
        while True:
            try:
                await self._store.withdraw(ids, "withdrawn", of_request)
            except Unavailable as error:
                _log.warning("intake.withdrawal_waits", instances=len(ids), error=str(error))
                await self._clock.sleep(_WITHDRAW_PAUSE)
            else:
                _log.warning("intake.withdrawn", instances=len(ids))
                return
