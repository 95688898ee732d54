import pytest

from chassis.bus.port import Queue, QueueKind
from chassis.errors import BusDown
from tests.contract.bus.worlds import Inbox, MakeWorld, World, said, subscribe
from tests.waiting import until


async def test_while_the_broker_is_away_publishing_fails(world: World, name: str):
    await subscribe(world, Queue(name=name, keys=(name,)))
    await world.cut()
    assert not world.bus.connected
    with pytest.raises(BusDown):
        await world.bus.publish([said(name)])
    await world.heal()
    assert list(await world.bus.publish([said(name)])) == []


async def test_after_an_outage_every_subscription_is_there_again(world: World, name: str):
    inboxes = {
        kind: await subscribe(world, Queue(name=f"{name}.{kind}", keys=(name,), kind=kind))
        for kind in QueueKind
    }
    await world.cut()
    await world.heal()
    for inbox in inboxes.values():
        await until(lambda inbox=inbox: inbox.ready == 2)
    await world.bus.publish([said(name)])
    for inbox in inboxes.values():
        await inbox.holds(1)


async def test_what_was_not_settled_before_an_outage_comes_again(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(f"{name}.#",)))
    await world.bus.publish([said(f"{name}.{number}", str(number)) for number in range(4)])
    before = list(await inbox.holds(4))
    await before[1].ack()
    await world.rest()
    await world.cut()
    with pytest.raises(BusDown):
        await before[0].ack()
    with pytest.raises(BusDown):
        await before[2].requeue()
    with pytest.raises(BusDown):
        await before[2].retry(before[2].body)
    with pytest.raises(BusDown):
        await before[2].dead_letter(before[2].body, "why")
    await world.heal()
    after = (await inbox.holds(7))[4:]
    assert [delivery.body for delivery in after] == [b'["0"]', b'["2"]', b'["3"]']
    assert {delivery.redelivered for delivery in after} == {1}


async def test_a_delivery_from_before_an_outage_cannot_settle_another(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(name,)))
    await world.bus.publish([said(name)])
    [old] = await inbox.holds(1)
    await world.cut()
    await world.heal()
    await inbox.holds(2)
    with pytest.raises(BusDown):
        await old.ack()
    await inbox.deliveries[1].ack()


async def test_a_subscriber_may_come_while_the_broker_is_away(world: World, name: str):
    await world.cut()
    inbox = Inbox()
    await world.bus.consume(Queue(name=name, keys=(name,)), inbox.receive, inbox.become_ready)
    assert inbox.ready == 0
    await world.heal()
    await until(lambda: inbox.ready)
    await world.bus.publish([said(name)])
    await inbox.holds(1)


async def test_a_subscriber_that_stopped_during_an_outage_stays_away(world: World, name: str):
    queue = Queue(name=name, keys=(name,))
    inbox = Inbox()
    consumer = await world.bus.consume(queue, inbox.receive, inbox.become_ready)
    await world.cut()
    await consumer.stop()
    await world.heal()
    await world.bus.publish([said(name)])
    other = await subscribe(world, queue)
    await other.holds(1)
    assert inbox.deliveries == []


@pytest.mark.parametrize("kind", [QueueKind.WORK, QueueKind.NODE])
async def test_a_deleted_queue_is_made_again_with_its_subscription(
    world: World, name: str, kind: QueueKind
):
    inbox = await subscribe(world, Queue(name=name, keys=(name,), kind=kind))
    await world.delete(name)
    await until(lambda: inbox.ready == 2)
    await world.bus.publish([said(name)])
    await inbox.holds(1)


async def test_a_subscription_that_is_refused_holds_up_no_other(world: World, name: str):
    await subscribe(world, Queue(name=f"{name}.first", keys=(name,), delivery_limit=5))
    await world.bus.consume(
        Queue(name=f"{name}.first", keys=(name,), delivery_limit=7), Inbox().receive
    )
    inbox = await subscribe(world, Queue(name=f"{name}.second", keys=(name,)))
    await world.bus.publish([said(name)])
    await inbox.holds(1)


async def test_ready_is_said_before_the_first_delivery(world: World, name: str):
    queue = Queue(name=name, keys=(name,))
    consumer = await world.bus.consume(queue, Inbox().receive)
    await consumer.stop()
    await world.bus.publish([said(name)])
    order: list[str] = []
    await world.bus.consume(
        queue, lambda _: order.append("delivery"), lambda: order.append("ready")
    )
    await until(lambda: len(order) == 2)
    assert order == ["ready", "delivery"]


async def test_a_bus_that_was_stopped_gives_back_what_it_held(
    make_world: MakeWorld, world: World, name: str
):
    if type(world.bus).__name__ == "MemoryBus":
        other = world  # there is but one process
    else:
        other = make_world()
        await other.start()
    queue = Queue(name=name, keys=(name,))
    inbox = await subscribe(world, queue)
    await world.bus.publish([said(name)])
    await inbox.holds(1)
    await world.bus.stop()
    if other is world:
        await world.bus.start()
    again = await subscribe(other, queue)
    await again.holds(1)
    await other.stop()
