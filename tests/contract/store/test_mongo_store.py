import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from chassis.errors import Conflict, StoreDown
from chassis.store.mongo import MongoStore
from chassis.store.port import Delete, Index, Insert, Update, UpdateMany, literal_update
from tests.servers import mongo_server
from tests.waiting import until


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    id: str = msgspec.field(name="_id")
    n: int = 0
    text: str = ""
    body: bytes = b""
    at: datetime | None = None
    generation: int = 1
    pending: bool = False


THINGS = "things"


def change(key: str, **where: int) -> Update:
    return Update(
        collection=THINGS, where={"_id": key} | where, change={"$set": {"text": "changed"}}
    )


async def everything(store: MongoStore) -> dict[str, Thing]:
    return {thing.id: thing for thing in await store.find(THINGS, Thing, {})}


async def test_a_document_comes_back_as_it_went_in(own_store: MongoStore):
    at = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    thing = Thing(id="a", n=7, text="täxt", body=b"\x00\xff", at=at)
    await own_store.insert(THINGS, [thing])
    assert await own_store.get(THINGS, Thing, "a") == thing
    assert await own_store.get(THINGS, Thing, "b") is None


async def test_inserting_what_exists_is_a_conflict(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id="a")])
    with pytest.raises(Conflict):
        await own_store.insert(THINGS, [Thing(id="a"), Thing(id="b")])


async def test_inserting_nothing_is_fine(own_store: MongoStore):
    await own_store.insert(THINGS, [])
    assert await own_store.write([]) == 0
    await own_store.transact([])


async def test_finding_sorts_limits_and_projects(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id=str(n), n=n, text="t") for n in range(5)])
    found = await own_store.find(
        THINGS, Thing, {"n": {"$gt": 0}}, sort=[("n", -1)], limit=2, fields=["n"]
    )
    assert [(thing.n, thing.text) for thing in found] == [(4, ""), (3, "")]
    assert await own_store.count(THINGS, {"n": {"$gt": 1}}) == 3


async def test_a_unique_index_makes_a_conflict_and_a_partial_one_only_where_it_counts(
    own_store: MongoStore,
):
    await own_store.start(
        [Index(collection=THINGS, keys=(("text", 1),), unique=True, partial={"n": {"$gte": 1}})]
    )
    await own_store.insert(THINGS, [Thing(id="a", text="t"), Thing(id="b", text="t")])
    await own_store.insert(THINGS, [Thing(id="c", text="t", n=1)])
    with pytest.raises(Conflict):
        await own_store.insert(THINGS, [Thing(id="d", text="t", n=1)])


async def test_expired_documents_go(own_store: MongoStore):
    await own_store.start([Index(collection=THINGS, keys=(("at", 1),), expire_seconds=0)])
    await own_store.insert(THINGS, [Thing(id="a", at=datetime(2020, 1, 1, tzinfo=UTC))])

    async def gone():
        return await own_store.count(THINGS, {}) == 0

    await until(gone, limit=60)


async def test_changing_answers_with_the_new_document_or_nothing(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id="a", n=1)])
    changed = await own_store.change(THINGS, Thing, {"_id": "a", "n": 1}, {"$inc": {"n": 1}})
    assert changed == Thing(id="a", n=2)
    assert await own_store.change(THINGS, Thing, {"_id": "a", "n": 1}, {"$inc": {"n": 1}}) is None
    made = await own_store.change(THINGS, Thing, {"_id": "b"}, {"$set": {"n": 9}}, upsert=True)
    assert made == Thing(id="b", n=9)


async def test_a_bulk_write_tells_how_many_it_matched(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id=key) for key in "abc"])
    writes = [
        change("a"),
        change("b"),
        change("x"),
        Insert(collection=THINGS, document=Thing(id="d")),
    ]
    assert await own_store.write(writes) == 2
    assert {key for key, thing in (await everything(own_store)).items() if thing.text} == {"a", "b"}
    await own_store.write([Delete(collection=THINGS, where={"text": "changed"})])
    assert set(await everything(own_store)) == {"c", "d"}


async def test_a_transaction_over_two_collections_is_done_as_a_whole(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id="a"), Thing(id="b")])
    await own_store.transact(
        [
            change("a", n=0),
            change("b", n=0),
            Insert(collection="others", document=Thing(id="x")),
            UpdateMany(collection="others", where={}, change={"$set": {"n": 5}}),
        ]
    )
    assert {thing.text for thing in (await everything(own_store)).values()} == {"changed"}
    assert await own_store.get("others", Thing, "x") == Thing(id="x", n=5)


async def test_one_update_that_matches_nothing_undoes_the_whole_transaction(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id="a"), Thing(id="b", n=1)])
    before = await everything(own_store)
    with pytest.raises(Conflict):
        await own_store.transact(
            [
                Insert(collection="others", document=Thing(id="x")),
                change("a", n=0),
                change("b", n=0),
            ]
        )
    assert await everything(own_store) == before
    assert await own_store.count("others", {}) == 0


async def test_required_and_optional_updates_of_one_collection_may_mix(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id="a"), Thing(id="b")])
    optional = msgspec.structs.replace(change("x"), required=False)
    await own_store.transact([change("a"), optional, change("b")])
    assert {thing.text for thing in (await everything(own_store)).values()} == {"changed"}
    hit = msgspec.structs.replace(change("a"), required=False)
    with pytest.raises(Conflict):  # the optional hit must not stand in for the required miss
        await own_store.transact([change("y"), hit])


async def test_an_insert_that_exists_undoes_the_whole_transaction(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id="a"), Thing(id="b")])
    with pytest.raises(Conflict):
        await own_store.transact([change("a"), Insert(collection=THINGS, document=Thing(id="b"))])
    assert (await everything(own_store))["a"].text == ""


async def test_concurrent_transactions_on_one_document_all_count(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id="a")])
    more = Update(collection=THINGS, where={"_id": "a"}, change={"$inc": {"n": 1}})
    await asyncio.gather(*[own_store.transact([more]) for _ in range(10)])
    assert (await everything(own_store))["a"].n == 10


async def test_a_literal_update_keeps_what_looks_like_a_field_path(own_store: MongoStore):
    await own_store.insert(THINGS, [Thing(id="a", generation=2, pending=True)])
    await own_store.transact(
        [
            Update(
                collection=THINGS,
                where={"_id": "a"},
                change=literal_update(
                    {"text": "$template_name", "body": b"$body", "n": 3},
                    pending={"$gt": ["$generation", "$n"]},
                ),
            )
        ]
    )
    thing = (await everything(own_store))["a"]
    assert (thing.text, thing.body, thing.n) == ("$template_name", b"$body", 3)
    assert thing.pending, "computed from the document as it was, when n was 0"


async def test_the_server_tells_the_time(own_store: MongoStore):
    now = await own_store.now()
    assert abs((now - datetime.now(UTC)).total_seconds()) < 60


async def test_a_killed_database_is_store_down_and_then_everything_goes_on(tmp_path):
    server = mongo_server(tmp_path / "db")
    await server.start()
    store = MongoStore(server.url, "test", timeout=1.0)
    try:
        await store.insert(THINGS, [Thing(id=str(n)) for n in range(100)])
        server.kill()
        calls = [
            lambda: store.get(THINGS, Thing, "1"),
            lambda: store.find(THINGS, Thing, {}),
            lambda: store.insert(THINGS, [Thing(id="new")]),
            lambda: store.change(THINGS, Thing, {"_id": "1"}, {"$set": {"n": 1}}),
            lambda: store.write([change("1")]),
            lambda: store.transact([change("1")]),
            lambda: store.count(THINGS, {}),
            store.now,
        ]
        outcomes = await asyncio.gather(*[call() for call in calls], return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreDown] * len(calls)
        await server.start()
        assert len(await store.find(THINGS, Thing, {})) == 100, "all were durable"
        await store.transact([change("1")])
        assert (await everything(store))["1"].text == "changed"
    finally:
        await store.stop()
        server.kill()
