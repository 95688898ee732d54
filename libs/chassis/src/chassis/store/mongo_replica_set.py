"""A lone mongod as a replica set of one: transactions need a replica set."""

import asyncio
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import OperationFailure

from chassis.errors import StoreDown
from chassis.store.mongo_errors import translated

_ALREADY_INITIALISED = 23
_NOT_INITIALISED = 94


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
        async with translated(), asyncio.timeout(limit):
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
