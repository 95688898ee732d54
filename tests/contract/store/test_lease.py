import msgspec
import pytest

from chassis.errors import Conflict
from chassis.lease import Lease
from chassis.store.mongo import MongoStore
from chassis.store.port import Insert
from tests.waiting import until


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    id: str = msgspec.field(name="_id")


def lease(store: MongoStore, holder: str, ttl: float = 60) -> Lease:
    return Lease(store, "leader", holder, ttl)


async def test_one_holder_at_a_time(own_store: MongoStore):
    first, second = lease(own_store, "first"), lease(own_store, "second")
    assert await first.acquire()
    assert not await second.acquire()
    assert first.epoch == 1
    assert await first.renew()
    assert not await second.renew()


async def test_released_it_goes_to_the_next_at_once_with_a_new_epoch(own_store: MongoStore):
    first, second = lease(own_store, "first"), lease(own_store, "second")
    await first.acquire()
    await first.release()
    assert await second.acquire()
    assert second.epoch == 2
    assert not await first.renew()


async def test_a_silent_holder_is_succeeded_by_the_servers_time(own_store: MongoStore):
    first, second = lease(own_store, "first", ttl=0.3), lease(own_store, "second")
    await first.acquire()
    assert not await second.acquire()
    await until(second.acquire)
    assert second.epoch == first.epoch + 1
    assert not await first.renew()
    await first.release()  # of what is no longer ours: changes nothing
    assert await second.renew()


async def test_a_holder_that_was_restarted_gets_a_new_epoch(own_store: MongoStore):
    first, again = lease(own_store, "same", ttl=0.3), lease(own_store, "same")
    await first.acquire()
    await until(again.acquire)
    assert again.epoch == 2
    assert not await first.renew(), "the name alone is not enough"


async def test_the_fence_refuses_an_old_epoch_and_undoes_its_commit(own_store: MongoStore):
    old, new = lease(own_store, "old", ttl=0.3), lease(own_store, "new")
    await old.acquire()
    await own_store.transact(
        [old.fence("one"), Insert(collection="things", document=Thing(id="one"))]
    )
    assert await old.committed("one")
    await until(new.acquire)
    with pytest.raises(Conflict):
        await own_store.transact(
            [old.fence("two"), Insert(collection="things", document=Thing(id="two"))]
        )
    await own_store.transact(
        [new.fence("three"), Insert(collection="things", document=Thing(id="three"))]
    )
    assert await new.committed("three")
    assert not await new.committed("one")
    assert not await old.committed("three")
    kept = await own_store.find("things", Thing, {}, sort=[("_id", 1)])
    assert [thing.id for thing in kept] == ["one", "three"]


async def test_a_commit_extends_the_lease(own_store: MongoStore):
    first, second = lease(own_store, "first", ttl=0.4), lease(own_store, "second")
    await first.acquire()

    async def taken():
        await own_store.transact([first.fence("x")])
        return await second.acquire()

    with pytest.raises(AssertionError, match="not within"):
        await until(taken, limit=1.0)


async def test_many_rush_for_a_new_lease_and_one_gets_it(own_store: MongoStore):
    import asyncio

    rivals = [lease(own_store, f"rival {n}") for n in range(10)]
    assert sum(await asyncio.gather(*[rival.acquire() for rival in rivals])) == 1
