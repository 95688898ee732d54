"""Reports leave in order, together, and until they are confirmed."""

from collections.abc import Sequence

import pytest
from msgspec import json

from chassis.errors import BusDown
from contracts.documents import Said
from contracts.nodes import NodeGoodbye
from node_agent.publisher import Publisher
from tests.clock import START, ManualClock, settle


class FakeBus:
    """Takes what it is told, refuses while down, and has no queue for some keys."""

    connected = True

    def __init__(self) -> None:
        self.published: list[list[bytes]] = []
        self.down = False
        self.unbound = False

    async def publish(self, items: Sequence[Said]) -> Sequence[Said]:
        if self.down:
            raise BusDown
        if self.unbound:
            return items
        self.published.append([item.body for item in items])
        return ()


def said(number: int) -> NodeGoodbye:
    return NodeGoodbye(node_id=f"n{number}", at=START)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
async def publisher(bus: FakeBus, clock: ManualClock):
    publisher = Publisher(bus, clock)
    await publisher.start()
    yield publisher
    await publisher.stop()


def order(bus: FakeBus) -> list[str]:
    reports = [json.decode(body) for group in bus.published for body in group]
    return [report["node_id"] for report in reports]


async def test_what_waits_together_leaves_together_and_in_order(bus, publisher):
    tellings = [publisher.tell(said(number)) for number in range(5)]
    await settle()
    assert all([await telling.confirmed for telling in tellings])
    assert len(bus.published) == 1
    assert order(bus) == ["n0", "n1", "n2", "n3", "n4"]


async def test_lasting_reports_survive_an_outage_in_order_and_others_do_not(
    bus, publisher, clock: ManualClock
):
    bus.down = True
    first = publisher.tell(said(1))
    passing = publisher.mention(said(2))
    await settle()
    assert await passing.confirmed is False
    second = publisher.tell(said(3))
    bus.down = False
    await clock.advance(5)
    assert await first.confirmed
    assert await second.confirmed
    assert order(bus) == ["n1", "n3"]


async def test_a_withdrawn_report_is_not_said_again(bus, publisher, clock: ManualClock):
    bus.down = True
    telling = publisher.tell(said(1))
    await settle()
    telling.withdraw()
    bus.down = False
    await clock.advance(5)
    assert bus.published == []


async def test_what_no_queue_takes_is_not_heard(bus, publisher, clock: ManualClock):
    bus.unbound = True
    lasting, passing = publisher.tell(said(1)), publisher.mention(said(2))
    await settle()
    assert await passing.confirmed is False
    assert not lasting.confirmed.done()
    bus.unbound = False
    await clock.advance(5)
    assert await lasting.confirmed
