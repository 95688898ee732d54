"""Distributions as they move: load, ask the domain, commit with what must be said, send orders.

Orders are not kept: the next sweep makes whatever got lost again from the document.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import msgspec
import structlog

from chassis.bus.port import Bus
from chassis.clock import Clock
from chassis.errors import Conflict, Unavailable
from contracts.distributions import (
    CancelPull,
    DistributionDocument,
    DistributionStatus,
    PullTemplate,
    TemplatePullReported,
)
from contracts.documents import say
from contracts.messages import Order
from registry.distribution_events import events
from registry.distribution_store import DistributionStore, TargetNode, put_status
from registry.domain import distribution as domain
from registry.domain.distribution import Limits
from registry.outbox import Outbox
from registry.store import RegistryStore, keep

_TRIES = 8
_log = structlog.get_logger()


class Distributions:
    """The only writer of their status. Several registries may work at once on one database.

    ``address`` is where agents pull from when a distribution does not say.
    """

    def __init__(
        self,
        store: DistributionStore,
        records: RegistryStore,
        outbox: Outbox,
        bus: Bus,
        clock: Clock,
        limits: Limits,
        address: str,
    ) -> None:
        self._store = store
        self._records = records
        self._outbox = outbox
        self._bus = bus
        self._clock = clock
        self._limits = limits
        self._address = address

    async def observe(self, ids: Collection[str]) -> None:
        """Act on what is wished of these now."""
        await self._advance(await self._store.some(ids))

    async def sweep(self) -> None:
        """Act on every wish not yet observed, order again what got lost, give up what is late."""
        await self._advance(await self._store.open())

    async def report(self, reports: Sequence[TemplatePullReported]) -> None:
        """Take what nodes say: one load, and one write for each distribution."""
        said: defaultdict[str, list[TemplatePullReported]] = defaultdict(list)
        for report in reports:
            said[report.request_id].append(report)
        documents = await self._store.some(said)
        for id_, document in documents.items():
            ends = any(report.done or report.error for report in said[id_])
            nodes = await self._nodes([document]) if ends else None
            await self._step(document, nodes, said[id_])
        await self._end_strays(documents, reports)

    async def _advance(self, documents: Mapping[str, DistributionDocument]) -> None:
        if documents:
            nodes = await self._nodes(documents.values())
            for document in documents.values():
                await self._step(document, nodes)

    async def _nodes(self, documents: Collection[DistributionDocument]) -> dict[str, TargetNode]:
        """Every node that these go to, or could go to."""
        if any(not d.status.observed_generation and not d.spec.node_ids for d in documents):
            return await self._store.nodes()
        return await self._store.nodes(
            {n for d in documents for n in d.status.nodes or d.spec.node_ids}
        )

    async def _step(
        self,
        document: DistributionDocument,
        nodes: Mapping[str, TargetNode] | None,
        reports: Sequence[TemplatePullReported] = (),
    ) -> None:
        """Decide and commit; anew when somebody else was quicker. Only then send orders."""
        for _ in range(_TRIES):
            now = self._clock.now()
            heard = domain.reported(document, reports, now)
            new = heard
            if nodes is not None:
                known = {id_: node.as_target() for id_, node in nodes.items()}
                moved = msgspec.structs.replace(document, status=heard)
                new = domain.advanced(moved, known, self._limits, now)
            if new is document.status:
                return
            words = events(document, new, now)
            try:
                await self._records.transact([put_status(document, new), *keep(words, now)])
            except Conflict:
                found = await self._store.some([document.id])
                if document.id not in found:
                    return
                document = found[document.id]
                continue
            if words:
                self._outbox.kick()
            await self._send(self._orders(document, heard, new, nodes or {}))
            return
        raise Conflict("the distribution is being changed by others all the time")

    def _orders(
        self,
        document: DistributionDocument,
        heard: DistributionStatus,
        new: DistributionStatus,
        nodes: Mapping[str, TargetNode],
    ) -> list[Order]:
        orders: list[Order] = []
        for id_ in domain.ordered(heard, new):
            begun = new.nodes[id_].begun
            assert begun is not None
            orders.append(
                PullTemplate(
                    node_id=id_,
                    queue=nodes[id_].status.facts.queue,
                    deadline=begun + self._limits.timeout,
                    request_id=document.id,
                    registry=document.spec.registry or self._address,
                    template=document.spec.template,
                )
            )
        late = [nodes[id_] for id_ in domain.stopped(heard, new) if id_ in nodes]
        return orders + [self._cancel(document.id, node) for node in late]

    async def _end_strays(
        self,
        documents: Mapping[str, DistributionDocument],
        reports: Sequence[TemplatePullReported],
    ) -> None:
        """Say again to nodes that pull for nobody: their cancellation was lost or overtaken."""
        strays = {
            (report.request_id, report.node_id)
            for report in reports
            if not (report.done or report.error)
            and domain.over_for(documents.get(report.request_id), report.node_id)
        }
        if strays:
            nodes = await self._store.nodes({node_id for _, node_id in strays})
            known = [(id_, nodes[node_id]) for id_, node_id in strays if node_id in nodes]
            await self._send([self._cancel(id_, node) for id_, node in known])

    def _cancel(self, id_: str, node: TargetNode) -> CancelPull:
        return CancelPull(
            node_id=node.id,
            queue=node.status.facts.queue,
            deadline=self._clock.now() + self._limits.timeout,
            request_id=id_,
        )

    async def _send(self, orders: Sequence[Order]) -> None:
        """What the bus does not take is ordered again for lack of an answer."""
        if not orders:
            return
        try:
            await self._bus.publish([say(order) for order in orders])
        except Unavailable as error:
            _log.warning("distribution.orders_lost", orders=len(orders), error=str(error))
