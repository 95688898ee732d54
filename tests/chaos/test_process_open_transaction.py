"""A leader killed in the middle of its commit does not lock its successor out."""

import asyncio
import signal
import sys
import uuid

from chassis.lease import Lease
from chassis.servers import MongoServer
from chassis.store.mongo import MongoStore
from tests.waiting import until

HOLDS_A_TRANSACTION = """
import sys, pymongo
client = pymongo.MongoClient(sys.argv[1])
with client.start_session() as session:
    session.start_transaction()
    leases = client[sys.argv[2]]["leases"]
    leases.update_one({"_id": "work"}, {"$set": {"commit": "open"}}, session=session)
    print("open", flush=True)
    sys.stdin.read()
"""


async def test_the_lease_of_a_leader_killed_within_a_transaction_is_free_in_seconds(
    mongod: MongoServer,
) -> None:
    database = f"test_{uuid.uuid4().hex[:12]}"
    store = MongoStore(mongod.url, database)
    assert await Lease(store, "work", "first", 1.0).acquire()
    leader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDS_A_TRANSACTION, mongod.url, database),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert leader.stdout is not None
    assert await leader.stdout.readline() == b"open\n"
    leader.send_signal(signal.SIGKILL)
    await leader.wait()
    successor = Lease(store, "work", "second", 1.0)
    await until(successor.acquire, 9.0, every=0.1)
    await store.stop()
