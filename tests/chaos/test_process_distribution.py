"""Registry and agents killed while a template is on its way: it arrives, and not from the start."""

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from chassis.servers import MongoServer, RabbitServer
from chassis.store.mongo import MongoStore
from contracts.distributions import NodePull
from contracts.events import EventDocument, EventKind
from contracts.nodes import NodeDocument
from registry.store import NODES
from tests.distributions import Desk, a_distribution
from tests.fleet import a_pushed_tag
from tests.processes import Cloud, running_cloud
from tests.servers import fresh_vhost
from tests.slow_link import slow_link
from tests.waiting import until

SIZE = 12 << 20
RATE = 1 << 20  # so that a busy machine notices a share before all is there


class Scene:
    """A cloud whose agents pull from its registry over a slow link."""

    def __init__(self, cloud: Cloud, desk: Desk, link: str) -> None:
        self.cloud = cloud
        self.desk = desk
        self.link = link

    async def begin(self) -> None:
        """Send a tag to the nodes."""
        template = await a_pushed_tag(self.cloud.registry_url, self.desk.store, SIZE)
        await self.desk.ask(a_distribution(template=template, registry=self.link))

    async def pull(self, node_id: str) -> NodePull:
        """How far a node is."""
        return (await self.desk.show()).status.nodes.get(node_id, NodePull())

    async def is_at(self, node_id: str, share: float) -> None:
        """Wait until it has pulled so much."""

        async def there() -> bool:
            return (await self.pull(node_id)).progress >= share

        await until(there, 30)

    async def events(self) -> list[EventKind]:
        """What the event log says, in order."""
        log = await self.desk.store.find("events", EventDocument, {}, sort=[("sequence", 1)])
        ours = (entry.event for entry in log if entry.event.sub_type == "templateAction")
        return [event.kind for event in ours if event.kind is not EventKind.TEMPLATE_PUSHED]

    async def is_told(self) -> bool:
        """Whether the event log has the end."""
        return EventKind.DISTRIBUTION_FINISHED in await self.events()


@pytest.fixture
async def scene(
    mongod: MongoServer, rabbitmq: RabbitServer, tmp_path: Path
) -> AsyncIterator[Scene]:
    database = f"test_{uuid.uuid4().hex[:12]}"
    url = await fresh_vhost(rabbitmq)
    store, bus = MongoStore(mongod.url, database), AmqpBus(url, SystemClock())
    await bus.start()
    async with running_cloud(tmp_path / "cloud", mongod.url, url, database) as cloud:
        cloud.registry(distribution_resend=1.0)
        cloud.scheduler("scheduler")
        cloud.pusher("pusher")
        for name in ("n1", "n2"):
            cloud.agent(name, driver="qemu", reserve_space="1B", heartbeat=0.5)
        await cloud.up()
        await until(lambda: bus.connected, 20)

        async def joined() -> bool:
            found = await store.find(NODES, NodeDocument, {})
            return len(found) == 2

        await until(joined, 20)
        async with slow_link(cloud.registry_url, RATE) as link:
            yield Scene(cloud, Desk(store, bus), link)
    await bus.stop()
    await store.stop()


async def test_a_distribution_survives_the_death_of_registry_and_agent(scene: Scene):
    await scene.begin()
    await scene.is_at("n1", 0.2)
    scene.cloud.kill("registry")
    scene.cloud.start("registry")
    await scene.cloud.up("registry")
    await scene.is_at("n2", 0.4)
    scene.cloud.kill("n2")
    scene.cloud.start("n2")
    await scene.cloud.up("n2")
    await until(scene.desk.finished, 60, every=0.05)
    for node_id in ("n1", "n2"):
        pull = await scene.pull(node_id)
        assert (pull.done, pull.progress, pull.error) == (True, 1.0, "")
    fetched = await bytes_fetched(scene.cloud, "n2")
    assert 0 < fetched < 0.8 * SIZE
    await until(scene.is_told, 20, every=0.05)
    assert sorted(await scene.events()) == sorted(
        [
            EventKind.DISTRIBUTE_TEMPLATE_TO_NODES,
            EventKind.TEMPLATE_PULLED,
            EventKind.TEMPLATE_PULLED,
            EventKind.DISTRIBUTION_FINISHED,
        ]
    )


async def test_a_cancellation_reaches_an_agent_that_was_killed_meanwhile(scene: Scene):
    await scene.begin()
    await scene.is_at("n1", 0.2)
    scene.cloud.kill("n1", "registry")
    await scene.desk.cancel("d-1")
    scene.cloud.start("n1", "registry")
    await until(scene.desk.finished, 60, every=0.05)
    pull = await scene.pull("n1")
    assert (pull.done, pull.error) == (False, "request canceled")
    assert 0.2 <= pull.progress < 1
    await scene.cloud.up("n1")

    seen: list[list[int]] = []

    async def nobody_pulls() -> bool:
        seen.append(layers(scene.cloud))
        return len(seen) > 1 and seen[-1] == seen[-2]

    await until(nobody_pulls, 20, every=0.3)
    assert all(0 < size < SIZE for size in seen[-1])


def layers(cloud: Cloud) -> list[int]:
    """How much of the tag's one layer the nodes have."""
    files = (f for name in ("n1", "n2") for f in cloud.data(name).glob("qemu/blobs/*.qcow2*"))
    return sorted(file.stat().st_size for file in files)


async def bytes_fetched(cloud: Cloud, name: str) -> float:
    """What the agent has fetched from the registry since it was started."""
    counter = r'^corral_agent_blob_fetched_bytes_total\{source="registry"\} (\S+)$'
    found = re.search(counter, await cloud.metrics(name), re.MULTILINE)
    return float(found[1]) if found else 0.0
