"""Event-pushers as processes, for tests that stop and kill them."""

import asyncio
import os
import socket
import sys

from chassis.lease import LEASES, LeaseDocument
from chassis.servers import MongoServer
from chassis.store.port import Store
from tests.receiver import Receiver

LEASE = "event-pusher"


async def holder(store: Store) -> str:
    """Who leads; the empty string when nobody does."""
    lease = await store.get(LEASES, LeaseDocument, LEASE)
    return lease.holder if lease else ""


async def taken_over(store: Store, first: str) -> bool:
    """Whether somebody else than ``first`` leads."""
    return await holder(store) not in {"", first}


class PusherProcess:
    """A real event-pusher; its holder name tells its pid."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child

    @classmethod
    async def start(
        cls, mongod: MongoServer, database: str, rabbitmq_url: str, receiver: Receiver
    ) -> "PusherProcess":
        """Start one; it leads or stands by."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "event_pusher"),
            env={
                "PATH": os.environ["PATH"],
                "CORRAL_MONGODB_URL": mongod.url,
                "CORRAL_MONGODB_DATABASE": database,
                "CORRAL_RABBITMQ_URL": rabbitmq_url,
                "CORRAL_METRICS_PORT": "0",
                "CORRAL_LEASE_SECONDS": "2",
                "ANKA_EVENT_LOG_URL": receiver.url,
            },
            stderr=asyncio.subprocess.DEVNULL,
        )
        return cls(child)

    def leads(self, name: str) -> bool:
        """Whether this holder of the lease is it."""
        return name.startswith(f"{socket.gethostname()}-{self.child.pid}-")

    async def end(self, number: int) -> None:
        """Send a signal and wait for its end."""
        if self.child.returncode is None:
            self.child.send_signal(number)
        await self.child.wait()
