"""Turns of the decider when what is around it fails."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.bus.event_queue import EVENTS
from chassis.bus.memory import MemoryBus
from chassis.clock import SystemClock
from chassis.errors import StoreDown
from chassis.lease import Lease
from chassis.store.mongo import MongoStore
from chassis.store.port import Write
from contracts.instances import InstanceDocument, StartVM
from scheduler.domain.limits import Limits
from scheduler.domain.weighers import Strategy
from scheduler.loading import Loader
from scheduler.store import INSTANCES, SchedulerStore
from scheduler.turn import Turns
from tests.unit.scheduler.builders import an_instance


class Shaky:
    """A store that can refuse plain writes."""

    def __init__(self, store: MongoStore) -> None:
        self.down = False
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, writes: Sequence[Write]) -> int:
        """See Store."""
        if self.down:
            raise StoreDown
        return await self._store.write(writes)


@pytest.fixture
def shaky(own_store: MongoStore) -> Shaky:
    return Shaky(own_store)


@pytest.fixture
async def turns(shaky: Any) -> AsyncIterator[Turns]:
    """A scheduler's decider, which leads."""
    clock = SystemClock()
    bus = MemoryBus(clock)
    await bus.start()
    await bus.keep(EVENTS)
    lease = Lease(shaky, "scheduler", "this", 60.0)
    assert await lease.acquire()
    loader = Loader(SchedulerStore(shaky), Limits(), Strategy.SPREAD)
    turns = Turns(shaky, bus, clock, lease, loader, "here")
    await turns.lead()
    yield turns
    await turns.retire()
    await bus.stop()


async def test_an_outbox_that_could_not_be_cleaned_is_cleaned_later(
    turns: Turns, shaky: Shaky, own_store: MongoStore
):
    document = an_instance("i1", created=datetime.now(UTC))
    await own_store.insert(INSTANCES, [document])
    await turns.handle([StartVM(instance=document)])

    async def outbox() -> int:
        stored = await own_store.get(INSTANCES, InstanceDocument, "i1")
        assert stored is not None
        return len(stored.outbox)

    assert await outbox() == 1
    shaky.down = True
    with pytest.raises(StoreDown):
        await turns.clean_outboxes()
    shaky.down = False
    await turns.clean_outboxes()
    assert await outbox() == 0
