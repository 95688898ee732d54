"""Connections are closed for good: one that is not closes itself when collected, in any thread."""

import aio_pika
import pytest

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from tests.servers import rabbit_server
from tests.waiting import until


@pytest.fixture
def made(monkeypatch):
    """Every connection that is made meanwhile."""
    found: list[aio_pika.Connection] = []

    class Connection(aio_pika.Connection):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            found.append(self)

    monkeypatch.setattr(aio_pika, "Connection", Connection)
    return found


async def test_whether_refused_or_lost_or_ended_every_connection_is_closed(tmp_path, made):
    broker = rabbit_server(tmp_path / "rabbit")
    bus = AmqpBus(broker.url, SystemClock())
    await bus.start()
    try:
        await until(lambda: len(made) >= 4)
        await broker.start()
        await until(lambda: bus.connected)
        broker.kill()
        count = len(made)
        await until(lambda: len(made) >= count + 2)
    finally:
        await bus.stop()
        broker.kill()
    assert [connection for connection in made if not connection.is_closed] == []
