"""The private servers that tests run against, and what is theirs alone on them."""

import uuid
from pathlib import Path

import aiohttp

from chassis.servers import MongoServer, RabbitServer
from chassis.store.mongo import MongoStore
from tests.ports import free_port

ROOT = Path(__file__).parents[1]


def mongo_server(folder: Path) -> MongoServer:
    """A mongod that is not started yet; expired documents go within a second."""
    folder.mkdir(parents=True, exist_ok=True)
    return MongoServer(folder, port=free_port(), ttl_seconds=1)


def rabbit_server(folder: Path, *, management: bool = False) -> RabbitServer:
    """A RabbitMQ node that is not started yet."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = ROOT / ".local/rabbitmq"
    return RabbitServer(folder, port=free_port(), tree=tree, management=management)


def fresh_store(mongod: MongoServer) -> MongoStore:
    """A store on a database that nobody has used."""
    return MongoStore(mongod.url, f"test_{uuid.uuid4().hex[:12]}")


async def fresh_vhost(rabbitmq: RabbitServer) -> str:
    """The URL of a new virtual host: own exchanges and queues (needs ``management``)."""
    name = uuid.uuid4().hex[:12]
    api = rabbitmq.management_url
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await session.put(f"{api}/vhosts/{name}", json={})
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        await session.put(f"{api}/permissions/{name}/guest", json=everything)
    return f"{rabbitmq.url}{name}"
