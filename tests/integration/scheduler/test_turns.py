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
from contracts.groups import GroupChanged, GroupDocument
from contracts.instances import InstanceDocument, StartVM
from scheduler.domain.limits import Limits
from scheduler.domain.weighers import Strategy
from scheduler.loading import Loader
from scheduler.loops import Steps
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
def loader(shaky: Any) -> Loader:
    return Loader(SchedulerStore(shaky), Limits(), Strategy.SPREAD)


@pytest.fixture
async def turns(system_bus: MemoryBus, shaky: Any, loader: Loader) -> AsyncIterator[Turns]:
    """A scheduler's decider, which leads."""
    await system_bus.keep(EVENTS)
    lease = Lease(shaky, "scheduler", "this", 60.0)
    assert await lease.acquire()
    turns = Turns(shaky, system_bus, SystemClock(), lease, loader, "here")
    await turns.lead()
    yield turns
    await turns.retire()


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


async def test_a_group_that_is_heard_of_while_older_ones_are_read_stays(
    system_bus: MemoryBus, turns: Turns, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    read, steps = loader.groups, Steps(turns, loader, system_bus, 60.0)

    async def overtaken() -> dict[str, GroupDocument]:
        older = await read()
        await turns.handle([GroupChanged(group=GroupDocument(id="g1", name="new"))])
        return older

    async def known() -> set[str]:
        found: set[str] = set()
        await turns.step(lambda world, _moment: found.update(world.cluster.groups))
        return found

    monkeypatch.setattr(loader, "groups", overtaken)
    await steps.read_settings()
    assert await known() == {"g1"}
    monkeypatch.setattr(loader, "groups", read)
    await steps.read_settings()
    assert await known() == set()
