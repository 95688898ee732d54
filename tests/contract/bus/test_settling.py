import pytest

from chassis.bus.dead_letters import DELIVERY_LIMIT
from chassis.bus.port import Queue, QueueKind
from chassis.bus.topology import SHARED_DEAD
from chassis.errors import NotFound
from tests.contract.bus.worlds import RETRY_DELAYS, Inbox, World, said, subscribe
from tests.waiting import until


async def test_no_more_than_the_prefetch_is_handed_out(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(f"{name}.#",), prefetch=3))
    await world.bus.publish([said(f"{name}.{number}") for number in range(5)])
    await inbox.holds(3)
    await world.rest()
    assert len(inbox.deliveries) == 3
    await inbox.deliveries[1].ack()
    await inbox.holds(4)
    await world.rest()
    assert len(inbox.deliveries) == 4


async def test_what_is_acknowledged_never_comes_again(world: World, name: str):
    queue = Queue(name=name, keys=(f"{name}.#",))
    inbox = Inbox()
    consumer = await world.bus.consume(queue, inbox.receive)
    await world.bus.publish([said(f"{name}.{number}", str(number)) for number in range(10)])
    await inbox.holds(10)
    for number in (7, 0, 1, 2, 4, 9):
        await inbox.deliveries[number].ack()
    await consumer.stop()
    again = await subscribe(world, queue)
    await again.holds(4)
    assert again.bodies == [b'["3"]', b'["5"]', b'["6"]', b'["8"]']
    assert {delivery.redelivered for delivery in again.deliveries} == {1}


async def test_a_requeued_message_comes_again_and_is_counted(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(name,)))
    await world.bus.publish([said(name, "again")])
    for count in range(3):
        delivery = (await inbox.holds(count + 1))[count]
        assert (delivery.redelivered, delivery.attempt, delivery.key) == (count, 0, name)
        await delivery.requeue()
    await inbox.holds(4)
    assert set(inbox.bodies) == {b'["again"]'}


async def test_beyond_the_delivery_limit_a_message_is_dead(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(name,), delivery_limit=2))
    await world.bus.publish([said(name, "poison"), said(name, "poison")])
    for count in range(3):
        await (await inbox.holds(count + 1))[count].requeue()

    async def letters():
        return await world.bus.dead_letters(f"{name}.dead")

    [letter] = await until(letters)
    assert (letter.queue, letter.key, letter.reason) == (name, name, DELIVERY_LIMIT)
    assert letter.body == b'["poison","poison"]'
    assert len(inbox.deliveries) == 3


async def test_what_waits_behind_a_message_that_dies_is_handed_out(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(name,), prefetch=1, delivery_limit=1))
    await world.bus.publish([said(name, "poison")])
    await world.bus.publish([said(name, "next")])
    for count in range(2):
        await (await inbox.holds(count + 1))[count].requeue()
    assert (await inbox.holds(3))[2].body == b'["next"]'


async def test_a_dead_letter_keeps_its_reason_and_can_be_replayed(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(f"{name}.#",)))
    await world.bus.publish([said(f"{name}.{number}", str(number)) for number in range(3)])
    for delivery in list(await inbox.holds(3)):
        await delivery.dead_letter(delivery.body, f"no {delivery.body.decode()}")
        await delivery.ack()
    for _ in range(2):  # looking changes nothing
        letters = await world.bus.dead_letters(f"{name}.dead")
        assert [(letter.number, letter.key, letter.reason) for letter in letters] == [
            (number + 1, f"{name}.{number}", f'no ["{number}"]') for number in range(3)
        ]
    assert await world.bus.replay(f"{name}.dead", [1, 3, 9]) == 2
    await inbox.holds(5)
    again = inbox.deliveries[3:]
    assert [(delivery.body, delivery.key) for delivery in again] == [
        (b'["0"]', f"{name}.0"),
        (b'["2"]', f"{name}.2"),
    ]
    [left] = await world.bus.dead_letters(f"{name}.dead")
    assert left.key == f"{name}.1"


async def test_there_may_be_no_such_dead_letter_queue(world: World, name: str):
    with pytest.raises(NotFound, match=name):
        await world.bus.dead_letters(f"{name}.dead")


async def test_retries_come_after_their_delays_and_then_the_message_is_dead(
    world: World, name: str
):
    inbox = await subscribe(world, Queue(name=name, keys=(f"{name}.*",)))
    await world.bus.publish([said(f"{name}.key", "whole")])
    for attempt, delay in enumerate(RETRY_DELAYS):
        delivery = (await inbox.holds(attempt + 1))[attempt]
        assert (delivery.attempt, delivery.key) == (attempt, f"{name}.key")
        await delivery.retry(b'["part"]')
        await delivery.ack()
        await world.rest()
        assert len(inbox.deliveries) == attempt + 1
        await world.pass_time(delay)
    last = (await inbox.holds(3))[2]
    assert (last.attempt, last.key, last.body) == (2, f"{name}.key", b'["part"]')
    await last.retry(last.body)
    await last.ack()
    [letter] = await world.bus.dead_letters(f"{name}.dead")
    assert (letter.reason, letter.attempt, letter.key) == ("failed 3 times", 2, f"{name}.key")


async def test_what_fails_on_a_node_queue_is_dead_at_once_in_the_shared_queue(
    world: World, name: str
):
    inbox = await subscribe(world, Queue(name=name, keys=(f"node.{name}",), kind=QueueKind.NODE))
    await world.bus.publish([said(f"node.{name}", "order")])
    delivery = (await inbox.holds(1))[0]
    await delivery.retry(delivery.body)
    await delivery.ack()
    letters = await world.bus.dead_letters(SHARED_DEAD)
    assert [(x.queue, x.key, x.body) for x in letters if x.queue == name] == [
        (name, f"node.{name}", b'["order"]')
    ]


async def test_stopping_gives_back_what_is_not_settled(world: World, name: str):
    for kind in (QueueKind.WORK, QueueKind.NODE):
        queue = Queue(name=f"{name}.{kind}", keys=(f"{name}.{kind}",), kind=kind)
        inbox = Inbox()
        consumer = await world.bus.consume(queue, inbox.receive)
        await world.bus.publish([said(f"{name}.{kind}")])
        await inbox.holds(1)
        await consumer.stop()
        assert (await (await subscribe(world, queue)).holds(1))[0].redelivered == 1


async def test_a_node_queue_without_its_agent_expires_with_its_messages(world: World, name: str):
    queue = Queue(name=name, keys=(f"node.{name}",), kind=QueueKind.NODE, expires=1)
    consumer = await world.bus.consume(queue, Inbox().receive)
    await consumer.stop()
    item = said(f"node.{name}")
    assert list(await world.bus.publish([item])) == []
    await world.pass_time(1)

    async def unroutable():
        return list(await world.bus.publish([item])) == [item]

    await until(unroutable, every=0.1)
    assert len((await subscribe(world, queue)).deliveries) == 0


async def test_a_projection_ends_with_its_subscription(world: World, name: str):
    queue = Queue(name=name, keys=(name,), kind=QueueKind.PROJECTION)
    consumer = await world.bus.consume(queue, Inbox().receive)
    assert list(await world.bus.publish([said(name)])) == []
    await consumer.stop()
    assert list(await world.bus.publish([said(name)])) == [said(name)]
