import os
import signal
import subprocess
import sys

import pytest

from chassis.bus.memory import MemoryBus
from chassis.bus.port import Queue, QueueKind
from tests.clock import ManualClock
from tests.contract.bus.worlds import Inbox, said

QUEUE = Queue(name="work", keys=("work.*",), delivery_limit=3)


async def opened(path, clock=None) -> MemoryBus:
    bus = MemoryBus(clock or ManualClock(), path, retry_delays=(1.0,))
    await bus.start()
    return bus


async def received(bus: MemoryBus, count: int) -> Inbox:
    inbox = Inbox()
    await bus.consume(QUEUE, inbox.receive)
    await inbox.holds(count)
    return inbox


async def test_work_waits_for_the_next_process(tmp_path):
    first = await opened(tmp_path / "journal")
    inbox = await received(first, 0)
    await first.publish([said("work.a", "1"), said("work.b", "2"), said("work.c", "3")])
    await inbox.holds(3)
    await inbox.deliveries[1].ack()
    second = await opened(tmp_path / "journal")  # the first one never stopped
    assert list(await second.publish([said("work.d", "4")])) == [], "the binding is kept as well"
    again = await received(second, 3)
    assert again.bodies == [b'["1"]', b'["3"]', b'["4"]']
    await second.stop()
    await first.stop()


async def test_redeliveries_stay_counted(tmp_path):
    bus = await opened(tmp_path / "journal")
    inbox = await received(bus, 0)
    await bus.publish([said("work.a")])
    await (await inbox.holds(1))[0].requeue()
    await inbox.holds(2)
    again = await opened(tmp_path / "journal")
    assert (await received(again, 1)).deliveries[0].redelivered == 1
    await again.stop()
    await bus.stop()


async def test_a_retry_keeps_its_time(tmp_path):
    clock = ManualClock()
    bus = await opened(tmp_path / "journal", clock)
    inbox = await received(bus, 0)
    await bus.publish([said("work.a", "put off")])
    [delivery] = await inbox.holds(1)
    await delivery.retry(delivery.body)
    await delivery.ack()
    later = await opened(tmp_path / "journal", clock)
    inbox = await received(later, 0)
    await clock.advance(0.9)
    assert inbox.deliveries == []
    await clock.advance(0.2)
    assert [(d.body, d.attempt, d.key) for d in await inbox.holds(1)] == [
        (b'["put off"]', 1, "work.a")
    ]
    await later.stop()
    await bus.stop()


async def test_dead_letters_stay(tmp_path):
    bus = await opened(tmp_path / "journal")
    inbox = await received(bus, 0)
    await bus.publish([said("work.a", "bad")])
    [delivery] = await inbox.holds(1)
    await delivery.dead_letter(delivery.body, "why")
    await delivery.ack()
    again = await opened(tmp_path / "journal")
    [letter] = await again.dead_letters("work.dead")
    assert (letter.queue, letter.reason, letter.body) == ("work", "why", b'["bad"]')
    assert await again.replay("work.dead", [1]) == 1
    assert (await received(again, 1)).bodies == [b'["bad"]']
    await again.stop()
    await bus.stop()


async def test_wake_ups_of_nodes_are_not_kept(tmp_path):
    bus = await opened(tmp_path / "journal")
    await bus.consume(Queue(name="n", keys=("node.n",), kind=QueueKind.NODE), Inbox().receive)
    await bus.publish([said("node.n")])
    again = await opened(tmp_path / "journal")
    assert list(await again.publish([said("node.n")])) == [said("node.n")]
    await again.stop()
    await bus.stop()


@pytest.mark.parametrize("lost", [1, 3, 17])
async def test_a_record_that_was_cut_off_is_ignored(tmp_path, lost: int):
    path = tmp_path / "journal"
    bus = await opened(path)
    await received(bus, 0)
    await bus.publish([said("work.a", "whole")])
    await bus.publish([said("work.a", "torn")])
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - lost)
    again = await opened(path)
    await again.publish([said("work.a", "next")])
    assert (await received(again, 2)).bodies == [b'["whole"]', b'["next"]']
    await again.stop()
    await bus.stop()


async def test_the_file_is_rewritten_with_what_is_alive(tmp_path):
    path = tmp_path / "journal"
    bus = await opened(path)
    inbox = await received(bus, 0)
    for number in range(1, 51):
        await bus.publish([said("work.a", "x" * 1000)])
        await (await inbox.holds(number))[-1].ack()
    await bus.stop()
    assert path.stat().st_size > 50_000
    await (await opened(path)).stop()
    assert path.stat().st_size < 1_000


async def test_the_file_does_not_grow_for_ever(tmp_path):
    path = tmp_path / "journal"
    bus = await opened(path)
    inbox = await received(bus, 0)
    for number in range(1, 41):
        await bus.publish([said("work.a", "x" * 1_000_000)])
        await (await inbox.holds(number))[-1].ack()
    assert path.stat().st_size < 35_000_000
    await bus.stop()


async def test_what_was_confirmed_survives_a_killed_process(tmp_path):
    program = """
import asyncio, sys
from pathlib import Path
from chassis.bus.memory import MemoryBus
from chassis.bus.port import Queue
from chassis.clock import SystemClock
from contracts.documents import Said

async def main():
    bus = MemoryBus(SystemClock(), Path(sys.argv[1]))
    await bus.start()
    await bus.consume(Queue(name="work", keys=("work.*",), prefetch=1), lambda delivery: None)
    for number in range(10_000):
        await bus.publish([Said(id="", key="work.a", body=b"%d" % number)])
        print(number, flush=True)

asyncio.run(main())
"""
    path = tmp_path / "journal"
    child = subprocess.Popen(  # noqa: ASYNC220 -- read line by line until it is killed
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )
    with child:
        for line in child.stdout:
            if int(line) >= 500:
                os.kill(child.pid, signal.SIGKILL)
                break
        confirmed = int((line + child.stdout.read()).split()[-1]) + 1
    bus = await opened(path)
    inbox = Inbox()
    queue = Queue(name="work", keys=("work.*",), prefetch=20_000)
    await bus.consume(queue, inbox.receive)
    await inbox.holds(confirmed)
    assert inbox.bodies[:confirmed] == [b"[%d]" % number for number in range(confirmed)]
    await bus.stop()
