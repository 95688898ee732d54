"""Distributions as the gateway stores them, nodes as the scheduler does, ears for their orders."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Union

import msgspec

from chassis.bus.port import Bus, Consumer, Delivery, Queue, QueueKind
from chassis.clock import SystemClock
from chassis.store.port import Store, Update
from contracts.distributions import (
    CancelDistribution,
    CancelPull,
    DeleteTemplate,
    Distribute,
    DistributionDocument,
    DistributionSpec,
    DistributionStatus,
    PullTemplate,
    TemplatePullReported,
)
from contracts.documents import say
from contracts.events import EventHappened
from contracts.messages import Message, Order, node_key
from contracts.nodes import NodeDocument, NodeFacts, NodeSpec, NodeState, NodeStatus
from contracts.templates import TemplateRef
from registry.app import build
from registry.config import Settings
from registry.distribution_store import DISTRIBUTIONS
from registry.store import NODES
from tests.agent_world import a_template
from tests.ports import free_port

BEGUN = datetime(2031, 5, 4, 10, tzinfo=UTC)
_HEARD = (PullTemplate, CancelPull, DeleteTemplate, EventHappened)
_decode = msgspec.json.Decoder(list[Union[_HEARD]]).decode  # type: ignore[valid-type]


def a_node(node_id: str, *, state: NodeState = NodeState.ACTIVE, **given: Any) -> NodeDocument:
    """A node as the scheduler stores it; ``groups`` are those of its status."""
    facts = {"name": node_id, "address": "", "arch": "amd64", "queue": f"q-{node_id}"}
    facts |= given.pop("facts", {})
    groups = given.pop("groups", ())
    moments = {"joined": BEGUN, "changed": BEGUN, "last_seen": BEGUN}
    status = NodeStatus(state=state, facts=NodeFacts(**facts), groups=groups, **moments)
    return NodeDocument(id=node_id, created=BEGUN, spec=NodeSpec(**given), status=status)


def a_distribution(
    distribution_id: str = "d-1",
    *,
    template: TemplateRef | None = None,
    created: datetime | None = None,
    **spec: Any,
) -> DistributionDocument:
    """As the gateway inserts it."""
    created = created or SystemClock().now()
    return DistributionDocument(
        id=distribution_id,
        pending=True,
        created=created,
        spec=DistributionSpec(template=template or a_template(), **spec),
        status=DistributionStatus(changed=created),
    )


class Desk:
    """The gateway's part: wishes stored and announced, documents read."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self.store = store
        self.bus = bus

    async def ask(self, document: DistributionDocument) -> None:
        """Store a distribution and say so."""
        await self.store.insert(DISTRIBUTIONS, [document])
        command = Distribute(request_id=document.id, template=document.spec.template)
        await self.bus.publish([say(command)])

    async def cancel(self, distribution_id: str, actor: str = "") -> None:
        """Set the wish and say so."""
        wish = {"spec.cancel": True, "spec.canceled_by": actor, "pending": True}
        change = {"$set": wish, "$inc": {"generation": 1}}
        where = {"_id": distribution_id}
        await self.store.write([Update(collection=DISTRIBUTIONS, where=where, change=change)])
        await self.bus.publish([say(CancelDistribution(request_id=distribution_id))])

    async def show(self, distribution_id: str = "d-1") -> DistributionDocument:
        """The document now."""
        found = await self.store.get(DISTRIBUTIONS, DistributionDocument, distribution_id)
        assert found is not None
        return found

    async def finished(self, distribution_id: str = "d-1") -> bool:
        """Whether all nodes are over."""
        return (await self.show(distribution_id)).status.finished is not None

    async def set_state(self, node_id: str, state: NodeState) -> None:
        """What the scheduler does when a node falls silent or returns."""
        change = {"$set": {"status.state": state.value}}
        await self.store.write([Update(collection=NODES, where={"_id": node_id}, change=change)])


class Ear:
    """Everything that was heard on some keys: orders of nodes, events."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._acks: set[asyncio.Task[None]] = set()
        self._consumers: list[Consumer] = []
        self.heard: list[Message] = []

    async def listen(self, name: str, *keys: str, kind: QueueKind = QueueKind.WORK) -> None:
        """Hear what is said from the return of this on."""
        ready = asyncio.Event()
        queue = Queue(name=name, keys=keys, kind=kind)
        self._consumers.append(await self._bus.consume(queue, self._receive, ready.set))
        await asyncio.wait_for(ready.wait(), 20)

    async def be(self, *node_ids: str) -> None:
        """Be the agents of these nodes."""
        for node_id in node_ids:
            queue = f"q-{node_id}"
            await self.listen(queue, node_key(queue), kind=QueueKind.NODE)

    def of(self, *kinds: type[Message]) -> list[Any]:
        """What was heard of these kinds."""
        return [message for message in self.heard if isinstance(message, kinds)]

    def pulls(self) -> list[str]:
        """The nodes that were ordered to pull so far, however often, in order of their names."""
        return sorted({order.node_id for order in self.of(PullTemplate)})

    async def stop(self) -> None:
        """Hear no more."""
        for consumer in self._consumers:
            await consumer.stop()

    def _receive(self, delivery: Delivery) -> None:
        self.heard += _decode(delivery.body)
        task = asyncio.create_task(delivery.ack())
        self._acks.add(task)
        task.add_done_callback(self._acks.discard)


def a_report(
    node_id: str, progress: float = 0.0, distribution_id: str = "d-1", **fields: Any
) -> TemplatePullReported:
    """What a node says of its pull."""
    return TemplatePullReported(
        request_id=distribution_id,
        node_id=node_id,
        at=SystemClock().now(),
        progress=progress,
        **fields,
    )


def by_node(orders: list[Order]) -> dict[str, Order]:
    """Orders by the node they are for."""
    return {order.node_id: order for order in orders}


@asynccontextmanager
async def a_registry(store: Store, bus: Bus, base: str, **settings: Any) -> AsyncIterator[str]:
    """One more registry on this bus and store; its address."""
    port = free_port()
    given = {"distribution_resend": 0.4} | settings
    chosen = Settings(
        listen_port=port, metrics_port=0, base_path=base, disk_reserve=0, public_address="", **given
    )
    service = build(chosen, bus, store)
    await service.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await service.stop()
