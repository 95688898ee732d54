"""The only file that imports motor: MongoDB behind the store port."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec
from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import DeleteMany, InsertOne, ReturnDocument, UpdateOne
from pymongo import UpdateMany as MongoUpdateMany
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from chassis.errors import Conflict, StoreDown
from chassis.store.port import (
    Change,
    Delete,
    Index,
    Insert,
    T,
    Update,
    UpdateMany,
    Where,
    Write,
    plain,
)

_DOWN = (
    ConnectionFailure,
    ServerSelectionTimeoutError,
    NetworkTimeout,
    ExecutionTimeout,
    WTimeoutError,
)
_DUPLICATE_KEY = 11000
_ALREADY_INITIALISED = 23
_NOT_INITIALISED = 94
_DURABLE = WriteConcern(w="majority", j=True, wtimeout=10_000)
_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)


class MongoStore:
    """One database; every write is majority-durable and journalled."""

    def __init__(self, url: str, database: str, *, timeout: float = 5.0) -> None:
        self._timeout = timeout
        milliseconds = int(timeout * 1000)
        self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            url,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            socketTimeoutMS=milliseconds * 4,
            retryWrites=True,
            tz_aware=True,
        )
        self._database = self._client.get_database(
            database, codec_options=_OPTIONS, write_concern=_DURABLE
        )

    async def start(self, indexes: Sequence[Index]) -> None:
        """See Store."""
        async with _errors():
            for index in indexes:
                options: dict[str, Any] = {"unique": index.unique}
                if index.partial is not None:
                    options["partialFilterExpression"] = index.partial
                if index.expire_seconds is not None:
                    options["expireAfterSeconds"] = index.expire_seconds
                await self._database[index.collection].create_index(list(index.keys), **options)

    async def get(self, collection: str, kind: type[T], key: str) -> T | None:
        """See Store."""
        async with _errors():
            found = await self._database[collection].find_one({"_id": key})
        return None if found is None else msgspec.convert(found, kind)

    async def find(
        self,
        collection: str,
        kind: type[T],
        where: Where,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        fields: Sequence[str] = (),
    ) -> list[T]:
        """See Store."""
        cursor = self._database[collection].find(where, list(fields) or None, limit=limit)
        if sort:
            cursor = cursor.sort(list(sort))
        async with _errors():
            found = await cursor.to_list(None)
        return msgspec.convert(found, list[kind])  # type: ignore[valid-type]

    async def insert(self, collection: str, documents: Sequence[msgspec.Struct]) -> None:
        """See Store."""
        if documents:
            async with _errors():
                await self._database[collection].insert_many(
                    [plain(document) for document in documents], ordered=False
                )

    async def change(
        self, collection: str, kind: type[T], where: Where, change: Change, *, upsert: bool = False
    ) -> T | None:
        """See Store."""
        async with _errors():
            found: dict[str, Any] | None = await self._database[collection].find_one_and_update(
                where, change, upsert=upsert, return_document=ReturnDocument.AFTER
            )
        return None if found is None else msgspec.convert(found, kind)

    async def write(self, writes: Sequence[Write]) -> int:
        """See Store."""
        async with _errors():
            return sum([matched for matched, _ in await self._apply(writes, None)])

    async def transact(self, writes: Sequence[Write]) -> None:
        """See Store."""

        async def body(session: Any) -> None:
            for matched, wanted in await self._apply(writes, session):
                if matched < wanted:
                    raise Conflict(f"{wanted - matched} of {wanted} documents had moved on")

        async with _errors(), await self._client.start_session() as session:
            await _transaction(session, body, self._timeout * 3)

    async def count(self, collection: str, where: Where) -> int:
        """See Store."""
        async with _errors():
            return await self._database[collection].count_documents(where)

    async def now(self) -> datetime:
        """See Store."""
        async with _errors():
            hello = await self._database.command("hello", codec_options=_OPTIONS)
        moment = hello["localTime"]
        assert isinstance(moment, datetime)
        return moment

    async def stop(self) -> None:
        """See Store."""
        self._client.close()

    async def _apply(self, writes: Sequence[Write], session: Any) -> list[tuple[int, int]]:
        """(matched, required) for each run of writes of one sort to one collection.

        Ordered in a transaction: the server ends that at the first error, and whatever came after
        it would then hide the error behind its own.
        """
        results: list[tuple[int, int]] = []
        for (name, required), run in groupby(writes, key=_sort):
            operations = [_operation(item) for item in run]
            result = await self._database[name].bulk_write(
                operations, ordered=session is not None, session=session
            )
            wanted = len(operations) if required else 0
            results.append((result.matched_count + result.upserted_count, wanted))
        return results


async def _transaction(session: Any, body: Callable[[Any], Awaitable[None]], limit: float) -> None:
    """Run and commit; again while an error is passing, for ``limit`` seconds.

    The driver's own loop has a limit of 120 s that cannot be set.
    """
    end = time.monotonic() + limit
    while True:
        session.start_transaction(read_concern=ReadConcern("local"), write_concern=_DURABLE)
        try:
            await body(session)
            await _commit(session, end)
        except BaseException as error:
            if session.in_transaction:
                await session.abort_transaction()
            if not _may_repeat(error, "TransientTransactionError", end):
                raise
            await asyncio.sleep(random.uniform(0, 0.01))  # noqa: S311 -- jitter
        else:
            return


async def _commit(session: Any, end: float) -> None:
    while True:
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not _may_repeat(error, "UnknownTransactionCommitResult", end):
                raise
        else:
            return


def _may_repeat(error: BaseException, label: str, end: float) -> bool:
    return (
        isinstance(error, PyMongoError) and error.has_error_label(label) and time.monotonic() < end
    )


async def make_primary(address: str, replica_set: str, limit: float) -> None:
    """Make the lone mongod at ``address`` the primary of a replica set of one.

    Also when it was one before at another port. StoreDown when it is not within ``limit`` seconds.
    """
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        f"mongodb://{address}/?directConnection=true", serverSelectionTimeoutMS=int(limit * 1000)
    )
    members = [{"_id": 0, "host": address}]
    wanted: dict[str, Any] = {"_id": replica_set, "members": members}
    try:
        async with _errors(), asyncio.timeout(limit):
            known = await _replica_set(client, wanted)
            if known["members"][0]["host"] != address:
                known |= {"members": members, "version": known["version"] + 1}
                await client.admin.command("replSetReconfig", known, force=True)
            while not (await client.admin.command("hello"))["isWritablePrimary"]:  # noqa: ASYNC110 -- polled
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise StoreDown(f"{address} did not become primary") from error
    finally:
        client.close()


async def _replica_set(
    client: AsyncIOMotorClient[dict[str, Any]], wanted: dict[str, Any]
) -> dict[str, Any]:
    """The configuration it has, or ``wanted`` from now on."""
    while True:
        try:
            status = await client.admin.command("replSetGetConfig")
            return dict(status["config"])
        except OperationFailure as error:
            if error.code != _NOT_INITIALISED:
                raise
        try:
            await client.admin.command("replSetInitiate", wanted)
        except OperationFailure as error:
            # It listens before it has read the configuration that it had before a restart.
            if error.code != _ALREADY_INITIALISED:
                raise
            await asyncio.sleep(0.01)


def _sort(write: Write) -> tuple[str, bool]:
    return write.collection, isinstance(write, Update) and write.required


def _operation(write: Write) -> Any:
    match write:
        case Insert():
            return InsertOne(plain(write.document))
        case Update():
            return UpdateOne(write.where, write.change, upsert=write.upsert)
        case UpdateMany():
            return MongoUpdateMany(write.where, write.change)
        case Delete():
            return DeleteMany(write.where)


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    """Turn the driver's errors into ours, at this border only."""
    try:
        yield
    except DuplicateKeyError as error:
        raise Conflict(str(error)) from error
    except BulkWriteError as error:
        codes = {item["code"] for item in error.details.get("writeErrors", [])}
        if codes == {_DUPLICATE_KEY}:
            raise Conflict("a document exists already") from error
        if _is_passing(error) or error.details.get("writeConcernErrors"):
            raise StoreDown(str(error)[:200]) from error
        raise
    except _DOWN as error:
        raise StoreDown(str(error)[:200]) from error
    except OperationFailure as error:
        if _is_passing(error):
            raise StoreDown(str(error)[:200]) from error
        raise


def _is_passing(error: PyMongoError) -> bool:
    labels = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError")
    return any(error.has_error_label(label) for label in labels)
