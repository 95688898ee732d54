"""One new tag on twenty nodes crosses the registry's network about once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from chassis.web import WebServer
from contracts.nodes import CachedTemplate
from contracts.templates import TemplateDocument, TemplateRef
from node_agent.peer_server import PeerRoutes
from registry.metrics import SENT
from registry.store import NODES, TEMPLATES
from tests.distributions import Desk, a_distribution, a_node, a_registry
from tests.fleet import Fleet, a_fleet, a_pushed_tag
from tests.waiting import until

SIZE = 8 << 20
MANY = 20


@pytest.fixture
async def registry(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[str]:
    async with a_registry(own_store, system_bus, str(tmp_path / "registry")) as address:
        yield address


@pytest.fixture
async def fleet(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[Fleet]:
    async with a_fleet(system_bus, own_store, tmp_path / "nodes") as fleet:
        yield fleet


async def sent_while_done(desk: Desk, address: str, name: str = "d-1") -> float:
    """Send a new tag to all nodes; the bytes of blobs that the registry gave for it."""
    template = await a_pushed_tag(address, desk.store, SIZE)
    before = SENT._value.get()
    await desk.ask(a_distribution(name, template=template, registry=address))
    await until(lambda: desk.finished(name), 60, every=0.05)
    pulls = (await desk.show(name)).status.nodes
    assert {id_: pull.error for id_, pull in pulls.items() if not pull.done} == {}
    return SENT._value.get() - before


async def holds(fleet: Fleet) -> set[str]:
    """The nodes that list the tag."""
    return {id_ for id_, driver in fleet.drivers.items() if await driver.templates()}


async def test_twenty_nodes_cost_the_registry_about_one_pull(
    registry: str, fleet: Fleet, system_bus: MemoryBus, own_store: MongoStore
):
    for number in range(MANY):
        await fleet.agent(f"n{number:02}", peer_fetch=True)
    await fleet.joined()
    sent = await sent_while_done(Desk(own_store, system_bus), registry)
    assert len(await holds(fleet)) == MANY
    assert SIZE <= sent < 1.5 * SIZE

    async def last_pull() -> object:
        (template,) = await own_store.find(TEMPLATES, TemplateDocument, {})
        return template.last_pull

    assert await until(last_pull)


async def test_nodes_with_and_without_neighbours_work_side_by_side(
    registry: str, fleet: Fleet, system_bus: MemoryBus, own_store: MongoStore
):
    for number in range(6):
        await fleet.agent(f"n{number}", peer_fetch=number < 3)
    joined = {node.id: node for node in await fleet.joined()}
    assert joined["n0"].status.facts.peer_address.startswith("http://127.0.0.1:")
    assert joined["n5"].status.facts.peer_address == ""
    sent = await sent_while_done(Desk(own_store, system_bus), registry)
    assert len(await holds(fleet)) == 6
    assert 4 * SIZE <= sent < 5 * SIZE


async def test_a_neighbour_that_lies_harms_nobody(
    registry: str, fleet: Fleet, system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
):
    lie = tmp_path / "lie"
    lie.write_bytes(bytes(SIZE + 512))

    asked = []

    class Liar:
        def blob(self, digest: str) -> Path:
            asked.append(digest)
            return lie

        def manifest(self, _digest: str) -> bytes:
            return b"{}"

    liar = WebServer(PeerRoutes([Liar()]).app(), "127.0.0.1", 0)
    await liar.start()
    await fleet.agent("n0", peer_fetch=True)
    await fleet.agent("n1", peer_fetch=True)
    await fleet.joined()
    template = await a_pushed_tag(registry, own_store, SIZE)
    await claim(own_store, liar.address, template)
    desk = Desk(own_store, system_bus)
    await desk.ask(a_distribution(template=template, registry=registry, node_ids=("n0", "n1")))
    await until(desk.finished, 30, every=0.05)
    await liar.stop()
    assert all(pull.done for pull in (await desk.show()).status.nodes.values())
    assert await holds(fleet) == {"n0", "n1"}
    assert asked


async def claim(store: MongoStore, address: str, template: TemplateRef) -> None:
    """A node that says it has the tag."""
    has = CachedTemplate(
        id=template.id, name=template.name, tag=template.tag, digest=template.digest
    )
    facts = {"peer_address": address, "templates": (has,)}
    await store.insert(NODES, [a_node("liar", facts=facts)])
