"""MongoDB behind the store port."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec
from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import DeleteMany, InsertOne, ReturnDocument, UpdateOne
from pymongo import UpdateMany as MongoUpdateMany
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from chassis.errors import Conflict
from chassis.store.mongo_errors import translated
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
        async with translated():
            for index in indexes:
                options: dict[str, Any] = {"unique": index.unique}
                if index.partial is not None:
                    options["partialFilterExpression"] = index.partial
                if index.expire_seconds is not None:
                    options["expireAfterSeconds"] = index.expire_seconds
                await self._database[index.collection].create_index(list(index.keys), **options)

    async def get(self, collection: str, kind: type[T], key: str) -> T | None:
        """See Store."""
        async with translated():
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
        async with translated():
            found = await cursor.to_list(None)
        return msgspec.convert(found, list[kind])  # type: ignore[valid-type]

    async def insert(self, collection: str, documents: Sequence[msgspec.Struct]) -> None:
        """See Store."""
        if documents:
            async with translated():
                await self._database[collection].insert_many(
                    [plain(document) for document in documents], ordered=False
                )

    async def change(
        self, collection: str, kind: type[T], where: Where, change: Change, *, upsert: bool = False
    ) -> T | None:
        """See Store."""
        async with translated():
            found: dict[str, Any] | None = await self._database[collection].find_one_and_update(
                where, change, upsert=upsert, return_document=ReturnDocument.AFTER
            )
        return None if found is None else msgspec.convert(found, kind)

    async def write(self, writes: Sequence[Write]) -> int:
        """See Store."""
        async with translated():
            return sum([matched for matched, _ in await self._apply(writes, None)])

    async def transact(self, writes: Sequence[Write]) -> None:
        """See Store."""

        async def body(session: Any) -> None:
            for matched, wanted in await self._apply(writes, session):
                if matched < wanted:
                    raise Conflict(f"{wanted - matched} of {wanted} documents had moved on")

        async with translated(), await self._client.start_session() as session:
            await _transaction(session, body, self._timeout * 3)

    async def count(self, collection: str, where: Where) -> int:
        """See Store."""
        async with translated():
            return await self._database[collection].count_documents(where)

    async def now(self) -> datetime:
        """See Store."""
        async with translated():
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
