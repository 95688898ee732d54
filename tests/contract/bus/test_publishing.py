import asyncio

import pytest

from chassis.bus.port import Queue, QueueKind
from contracts.messages import MAX_BYTES, MAX_ITEMS
from tests.contract.bus.worlds import Inbox, World, said, subscribe


async def test_items_of_one_key_travel_together_as_an_array_in_order(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(f"{name}.#",)))
    await world.bus.publish(
        [said(f"{name}.a", "1"), said(f"{name}.b", "2"), said(f"{name}.a", "3")]
    )
    got = {delivery.key: delivery.body for delivery in await inbox.holds(2)}
    assert got == {f"{name}.a": b'["1","3"]', f"{name}.b": b'["2"]'}


async def test_what_is_said_before_anybody_ever_consumed_waits_in_a_kept_queue(
    world: World, name: str
):
    queue = Queue(name=name, keys=(name,), ordered=True)
    await world.bus.keep(queue)
    assert await world.bus.publish([said(name, "1")]) == []
    inbox = await subscribe(world, queue)
    [delivery] = await inbox.holds(1)
    assert delivery.body == b'["1"]'


async def test_a_message_carries_at_most_so_many_items(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(name,)))
    await world.bus.publish([said(name, str(number)) for number in range(MAX_ITEMS + 1)])
    first, second = await inbox.holds(2)
    assert first.body.count(b",") == MAX_ITEMS - 1
    assert second.body == b'["%d"]' % MAX_ITEMS


async def test_a_message_carries_at_most_so_many_bytes(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(name,)))
    half = "h" * (MAX_BYTES // 2)
    await world.bus.publish([said(name, half), said(name, half), said(name, "end")])
    assert [len(body) for body in (d.body for d in await inbox.holds(2))] == [
        len(half) + 4,
        len(half) + len("end") + 7,
    ]


async def test_an_item_too_large_for_any_message_travels_alone(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(name,)))
    huge = "h" * (MAX_BYTES * 2)
    await world.bus.publish([said(name, "a"), said(name, huge), said(name, "b")])
    assert [len(delivery.body) for delivery in await inbox.holds(3)] == [5, len(huge) + 4, 5]


@pytest.mark.parametrize(
    ("binding", "suffix", "reached"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("#.c", "a.b.c", True),
        ("#.c", "c", True),
        ("a.#.d", "a.d", True),
        ("a.#.d", "a.b.c.d", True),
        ("a.#.d", "a.b.c", False),
        ("*.#.*", "a.b", True),
        ("*.#.*", "a", False),
    ],
)
async def test_topics(world: World, name: str, binding: str, suffix: str, reached: bool):
    inbox = await subscribe(
        world, Queue(name=name, keys=(f"{name}.{binding}",), kind=QueueKind.PROJECTION)
    )
    item = said(f"{name}.{suffix}")
    assert list(await world.bus.publish([item])) == ([] if reached else [item])
    if reached:
        await inbox.holds(1)


async def test_what_no_queue_is_bound_for_is_returned_and_the_rest_arrives(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(f"{name}.known",)))
    lost = [said(f"{name}.unknown", "1"), said(f"{name}.unknown", "2")]
    items = [said(f"{name}.known", "a"), *lost, said(f"{name}.other"), said(f"{name}.known", "b")]
    assert list(await world.bus.publish(items)) == [*lost, said(f"{name}.other")]
    assert (await inbox.holds(1))[0].body == b'["a","b"]'


async def test_nothing_published_is_nothing_lost(world: World):
    assert list(await world.bus.publish([])) == []


async def test_every_bound_queue_gets_its_own_copy(world: World, name: str):
    inboxes = [
        await subscribe(world, Queue(name=f"{name}.{kind}", keys=(name,), kind=kind))
        for kind in QueueKind
    ]
    await world.bus.publish([said(name)])
    for inbox in inboxes:
        await inbox.holds(1)


async def test_messages_of_one_key_arrive_in_the_order_of_their_publishing(world: World, name: str):
    inbox = await subscribe(world, Queue(name=name, keys=(name,), prefetch=2000))
    calls = [world.bus.publish([said(name, str(number))]) for number in range(1000)]
    await asyncio.gather(*calls)
    await inbox.holds(1000)
    assert inbox.bodies == [b'["%d"]' % number for number in range(1000)]


async def test_subscribers_of_one_queue_share_its_messages(world: World, name: str):
    queue = Queue(name=name, keys=(f"{name}.#",), prefetch=1)
    inboxes: list[Inbox] = [await subscribe(world, queue) for _ in range(2)]
    await world.bus.publish([said(f"{name}.{number}") for number in range(2)])
    for inbox in inboxes:
        await inbox.holds(1)


async def test_two_projections_of_one_name_both_hear_everything(world: World, name: str):
    queue = Queue(name=name, keys=(name,), kind=QueueKind.PROJECTION)
    inboxes = [await subscribe(world, queue) for _ in range(2)]
    await world.bus.publish([said(name)])
    for inbox in inboxes:
        await inbox.holds(1)
