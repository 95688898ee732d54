"""One turn of the decider: load, handle, place, commit, publish. Never two at once."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence

import structlog

from chassis import tracing
from chassis.bus.port import Bus
from chassis.clock import Clock
from chassis.errors import BusDown, Conflict, StoreDown, Unavailable
from chassis.lease import Lease
from chassis.store.port import Store, Write
from contracts.documents import Said, say
from contracts.instances import InstanceRemoved
from contracts.messages import Message
from contracts.nodes import NodeRemoved
from scheduler.domain.limits import Moment
from scheduler.domain.node import Node
from scheduler.domain.subject import Subject
from scheduler.domain.world import World
from scheduler.handlers import HANDLERS
from scheduler.loading import Loader
from scheduler.spans import trace
from scheduler.store import COLLECTIONS, SchedulerStore
from scheduler.telemetry import (
    COMMIT_SECONDS,
    COMMITS,
    DECISIONS,
    PLACED,
    PLACING_SECONDS,
    UNSENT,
    leading,
    standing_by,
)
from scheduler.writes import (
    instance_write,
    node_removals,
    node_write,
    pool_write,
    removals,
    retirements,
    status_write,
)

_log = structlog.get_logger()

Step = Callable[[World, Moment], None]


class NotLeading(Unavailable):
    """Another scheduler leads"""


class Turns:
    """Owns the world. Anything unexpected drops it; the next turn rebuilds it from documents."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        lease: Lease,
        loader: Loader,
        machine: str,
    ) -> None:
        self._store = store
        self._documents = SchedulerStore(store)
        self._bus = bus
        self._clock = clock
        self._lease = lease
        self._loader = loader
        self._machine = machine
        self._lock = asyncio.Lock()
        self._world: World | None = None
        self._unsent: list[Said] = []
        self._said: dict[str, Subject] = {}
        self._forgettable: dict[str, dict[str, list[str]]] = {}
        self.leading = False

    def moment(self) -> Moment:
        """The clock now."""
        return Moment(self._clock.now(), self._clock.monotonic())

    async def handle(self, messages: Sequence[Message]) -> None:
        """One batch of deliveries, as one turn."""

        def step(world: World, moment: Moment) -> None:
            world.pace.handled(len(messages), moment)
            for message in messages:
                HANDLERS[type(message)](world, message, moment)

        async with self._lock:
            await self._turn(step, messages)

    async def step(self, step: Step) -> None:
        """A turn without messages: time passed, or documents were found."""
        async with self._lock:
            if self.leading:
                await self._turn(step)

    async def lead(self) -> None:
        """The lease is ours: build the world anew at the next turn."""
        self._world = None
        self.leading = True
        leading(self._lease.epoch)
        await self.step(lambda _world, _moment: None)

    async def retire(self) -> None:
        """The lease is lost or given back: decide nothing more."""
        self.leading = False
        async with self._lock:
            self._forget()
        standing_by()

    async def resend(self) -> None:
        """Publish what the bus has not confirmed."""
        async with self._lock:
            if self.leading and self._unsent:
                await self._publish([])

    async def clean_outboxes(self) -> None:
        """Drop from outboxes what the bus has confirmed and no later write has dropped."""
        async with self._lock:
            for collection, said in list(self._forgettable.items()):
                if said:
                    await self._documents.forget_said(collection, said)
                del self._forgettable[collection]

    async def _ready(self) -> World:
        if not self.leading:
            raise NotLeading
        if self._world is None:
            rebuilt = await self._loader.rebuild(self._lease.epoch, self.moment())
            self._world, self._unsent, subjects = rebuilt
            self._said = {said.id: subject for subject in subjects for said in subject.unsaid}
        return self._world

    async def _turn(self, step: Step, messages: Sequence[Message] = ()) -> None:
        world = await self._ready()
        try:
            if messages:
                await self._loader.load_missing(world, messages, self.moment())
            moment = self.moment()
            step(world, moment)
            _place(world, moment)
            await self._loader.settle_images(world, moment)
            traced = [instance for instance in world.changed.values() if instance.steps]
            said, writes = self._recorded(world, moment)
            if writes:
                await self._commit(writes)
        except BaseException:
            self._forget()
            raise
        trace(traced)
        await self._publish(said)

    def _recorded(self, world: World, moment: Moment) -> tuple[list[Said], list[Write]]:
        """Take what the turn changed: what to say, and what to write before it is said."""
        writes: list[Write] = []
        said: list[Said] = []
        for instance in world.changed.values():
            _log.debug(
                "instance.changed",
                instance=instance.id,
                state=instance.status.state,
                node=instance.status.node_id,
                attempt=instance.status.attempt,
                request_id=instance.spec.request_id,
                **tracing.log_ids(instance.spec.trace),
            )
            said += self._record(instance)
            said.append(say(instance.changed()))
            writes.append(instance_write(instance))
        writes += retirements(world.retired)
        for request in world.images.changed.values():
            said += self._record(request)
            writes.append(status_write(request))
        if world.macs.changed:
            said += self._record(world.macs)
            writes.append(pool_write(world.macs))
        writes += removals(world.removed, moment.now)
        for node in self._due_nodes(world, moment):
            said += self._record(node)
            said.append(say(node.changed()))
            writes.append(node_write(node))
        for node in world.left:
            said += [*self._record(node), say(NodeRemoved(node_id=node.id))]
            writes.append(node_write(node))
        writes += node_removals(world.removed_nodes)
        said += [say(order) for order in world.orders]
        said += [say(fact) for fact in world.facts]
        said += [say(InstanceRemoved(instance_id=i.id)) for i in world.removed]
        DECISIONS.inc(len(world.changed))
        _clear(world)
        return said, writes

    def _record(self, subject: Subject) -> list[Said]:
        said = subject.say_events(self._machine)
        subject.revision += 1
        for item in said:
            self._said[item.id] = subject
        forgettable = self._forgettable.get(COLLECTIONS[type(subject)], {})
        forgettable.pop(subject.id, None)  # this write drops them
        return said

    def _due_nodes(self, world: World, moment: Moment) -> list[Node]:
        """Nodes whose change is told now; the others stay marked for a later turn."""
        due: list[Node] = []
        for node_id, urgent in list(world.changed_nodes.items()):
            node = world.cluster.nodes[node_id]
            pause = world.limits.node_flush if urgent else world.limits.usage_flush
            if node.revision == 0 or moment.tick - node.flushed >= pause:
                node.flushed = moment.tick
                due.append(node)
                del world.changed_nodes[node_id]
        return due

    async def _commit(self, writes: list[Write]) -> None:
        """One fenced transaction; an unknown outcome is looked up by the commit's id."""
        commit, begun = uuid.uuid4().hex, time.perf_counter()
        while True:
            try:
                await self._store.transact([self._lease.fence(commit), *writes])
            except StoreDown as error:
                _log.warning("scheduler.commit_unknown", error=str(error))
                if await self._applied(commit):
                    break
            except Conflict as error:
                if await self._lease.committed(commit):
                    break
                _log.warning("scheduler.commit_refused", error=str(error))
                if not await self._lease.renew():
                    raise NotLeading from error
                raise
            else:
                break
        COMMITS.inc()
        COMMIT_SECONDS.observe(time.perf_counter() - begun)

    async def _applied(self, commit: str) -> bool:
        while True:
            await self._clock.sleep(0.2)
            try:
                return await self._lease.committed(commit)
            except StoreDown:
                continue

    async def _publish(self, said: list[Said]) -> None:
        """Publish after the commit; what is not confirmed stays in the outbox and is sent again."""
        self._unsent += said
        UNSENT.set(len(self._unsent))
        if not self._unsent or not self._bus.connected:
            return
        try:
            unroutable = await self._bus.publish(self._unsent)
        except BusDown as error:
            _log.warning("scheduler.publish_failed", error=str(error), unsent=len(self._unsent))
            return
        sent, self._unsent = self._unsent, []
        UNSENT.set(0)
        if unroutable:
            _log.debug("scheduler.unroutable", items=len(unroutable))
        for item in sent:
            if (subject := self._said.pop(item.id, None)) is not None:
                subject.confirmed({item.id})
                forgettable = self._forgettable.setdefault(COLLECTIONS[type(subject)], {})
                forgettable.setdefault(subject.id, []).append(item.id)

    def _forget(self) -> None:
        self._world = None
        self._unsent = []
        self._said = {}
        self._forgettable = {}


def _place(world: World, moment: Moment) -> None:
    begun = time.perf_counter()
    placed = world.place_waiting(moment)
    if placed:
        PLACED.inc(placed)
        PLACING_SECONDS.observe(time.perf_counter() - begun)


def _clear(world: World) -> None:
    world.changed.clear()
    world.images.changed.clear()
    world.macs.changed = False
    for taken in (
        world.removed,
        world.retired,
        world.left,
        world.removed_nodes,
        world.orders,
        world.facts,
    ):
        taken.clear()
