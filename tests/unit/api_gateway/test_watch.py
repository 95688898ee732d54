import asyncio

from api_gateway.watch import Watch
from tests.clock import settle


async def test_those_who_wait_for_one_instance_wake_together_and_others_sleep_on():
    watch = Watch()
    ours = [asyncio.create_task(watch.wait("a", 30)) for _ in range(3)]
    other = asyncio.create_task(watch.wait("b", 30))
    await settle()
    watch.moved("a")
    await asyncio.wait_for(asyncio.gather(*ours), 1)
    assert not other.done()
    watch.moved("b")
    await asyncio.wait_for(other, 1)


async def test_a_move_that_nobody_waits_for_is_nothing():
    watch = Watch()
    watch.moved("a")
    waiter = asyncio.create_task(watch.wait("a", 30))
    await settle()
    assert not waiter.done()
    watch.moved("a")
    await asyncio.wait_for(waiter, 1)


async def test_one_who_gave_up_holds_up_nobody():
    watch = Watch()
    gone = asyncio.create_task(watch.wait("a", 30))
    stays = asyncio.create_task(watch.wait("a", 30))
    await settle()
    gone.cancel()
    await settle()
    watch.moved("a")
    await asyncio.wait_for(stays, 1)


async def test_at_the_end_everybody_goes_and_nobody_begins_to_wait():
    watch = Watch()
    waiter = asyncio.create_task(watch.wait("a", 30))
    await settle()
    await watch.stop()
    await asyncio.wait_for(waiter, 1)
    await asyncio.wait_for(watch.wait("a", 30), 1)
