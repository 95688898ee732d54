import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from chassis.bus.dispatch import MAX_BATCH, Dispatcher
from chassis.bus.port import Queue, QueueKind
from chassis.clock import SystemClock
from chassis.errors import StoreDown
from contracts.documents import Said, say
from contracts.instances import InstanceRemoved
from contracts.messages import Message, tag_of
from tests.contract.bus.worlds import RETRY_DELAYS, World
from tests.samples import sample
from tests.waiting import until

KEY = tag_of(InstanceRemoved)


def removed(*names: str) -> list[Said]:
    return [say(InstanceRemoved(instance_id=name)) for name in names]


class Handler:
    """Keeps what it handled; fails where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.bad: set[str] = set()
        self.away = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def handled(self) -> list[str]:
        return [name for batch in self.batches for name in batch]

    async def __call__(self, messages: Sequence[Message]) -> None:
        await self.gate.wait()
        names = [m.instance_id for m in messages if isinstance(m, InstanceRemoved)]
        if self.away:
            self.away -= 1
            raise StoreDown
        if self.bad & set(names):
            raise ValueError("cannot be handled")
        self.batches.append(names)


class Case:
    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.handler = Handler()
        self.queue = Queue(name=name, keys=(KEY, f"{name}.raw"), prefetch=1000)
        self.dispatcher = Dispatcher(
            world.bus, [self.queue], [InstanceRemoved], self.handler, SystemClock()
        )

    async def letters(self):
        return await self.world.bus.dead_letters(f"{self.queue.name}.dead")


@pytest.fixture
async def case(world: World, name: str):
    case = Case(world, name)
    await case.dispatcher.start()
    yield case
    await case.dispatcher.stop()


async def test_messages_are_handled_and_acknowledged(case: Case):
    await case.world.bus.publish(removed("a", "b"))
    await until(lambda: case.handler.handled == ["a", "b"])
    await case.world.rest()
    await case.dispatcher.stop()
    await case.dispatcher.start()
    await case.world.bus.publish(removed("c"))
    await until(lambda: case.handler.handled == ["a", "b", "c"])


async def test_a_batch_is_what_waits_up_to_a_limit(case: Case):
    case.handler.gate.clear()
    await case.world.bus.publish(removed("first"))
    await case.world.rest()
    for start in range(0, 2048, 256):
        await case.world.bus.publish(removed(*[str(n) for n in range(start, start + 256)]))
    await case.world.rest()
    case.handler.gate.set()
    await until(lambda: len(case.handler.handled) == 2049)
    assert case.handler.handled == ["first", *[str(n) for n in range(2048)]]
    assert max(map(len, case.handler.batches)) <= MAX_BATCH


async def test_only_the_undecodable_item_of_a_message_is_buried(case: Case):
    bad = Said(id="", key=KEY, body=b'{"type":"instance.removed.v1","instance_id":7}')
    first, last = removed("first", "last")
    await case.world.bus.publish([first, bad, last])
    await until(lambda: case.handler.handled == ["first", "last"])
    [letter] = await case.letters()
    assert letter.body == b"[" + bad.body + b"]"
    assert "instance_id" in letter.reason
    assert letter.key == KEY


@pytest.mark.parametrize("body", ["nonsense", '{"not": "an array"}', ""])
async def test_a_body_that_is_no_array_is_buried_whole(case: Case, body: str):
    # An item is cut into the array as it is, so this one breaks it.
    broken = Said(id="", key=f"{case.queue.name}.raw", body=f"{body}]".encode())
    await case.world.bus.publish([broken])
    [letter] = await until(_found(case))
    assert letter.body == f"[{body}]]".encode()
    await case.world.bus.publish(removed("next"))
    await until(lambda: case.handler.handled == ["next"])


async def test_a_type_that_nobody_handles_is_buried(case: Case):
    unknown = Said(id="", key=f"{case.queue.name}.raw", body=b'{"type":"unknown.v1"}')
    await case.world.bus.publish([unknown])
    [letter] = await until(_found(case))
    assert "unknown.v1" in letter.reason


async def test_a_failing_item_is_tried_again_alone_and_the_others_are_done(case: Case):
    case.handler.bad = {"bad"}
    await case.world.bus.publish(removed("a", "bad", "b"))
    await until(lambda: case.handler.handled == ["a", "b"])
    case.handler.bad = set()
    await case.world.rest()
    await case.world.pass_time(RETRY_DELAYS[0])
    await until(lambda: case.handler.handled == ["a", "b", "bad"])


async def test_an_item_that_always_fails_is_buried_after_its_last_try(case: Case):
    case.handler.bad = {"bad"}
    await case.world.bus.publish(removed("a", "bad"))

    async def buried():
        await case.world.pass_time(max(RETRY_DELAYS))
        return await case.letters()

    [letter] = await until(buried)
    assert msgspec.json.decode(letter.body)[0]["instance_id"] == "bad"
    assert letter.attempt == len(RETRY_DELAYS)
    assert case.handler.handled == ["a"]


async def test_an_undecodable_item_is_buried_once_even_when_its_batch_fails(case: Case):
    case.handler.bad = {"bad"}
    await case.world.bus.publish([Said(id="", key=KEY, body=b'{"type":1}'), *removed("a", "bad")])
    await until(lambda: case.handler.handled == ["a"])
    await case.world.rest()
    assert len(await case.letters()) == 1


async def test_while_something_is_unavailable_the_batch_waits(case: Case):
    case.handler.away = 3
    await case.world.bus.publish(removed("a", "b"))
    await until(lambda: case.handler.handled == ["a", "b"])
    assert len(case.handler.batches) == 1
    assert await case.letters() == []


async def test_an_outage_loses_nothing(case: Case):
    case.handler.gate.clear()
    await case.world.bus.publish(removed("a"))
    await case.world.rest()
    await case.world.cut()
    case.handler.gate.set()
    await until(lambda: case.handler.handled)
    await case.world.heal()
    await until(lambda: case.handler.handled == ["a", "a"])
    await case.world.bus.publish(removed("b"))
    await until(lambda: case.handler.handled == ["a", "a", "b"])


async def test_stopping_gives_back_what_could_not_be_handled(case: Case):
    case.handler.away = 1_000_000
    await case.world.bus.publish(removed("a"))
    await until(lambda: case.handler.away < 1_000_000)
    await case.dispatcher.stop()
    case.handler.away = 0
    await case.dispatcher.start()
    await until(lambda: case.handler.handled == ["a"])


async def test_messages_are_counted_by_what_became_of_them(case: Case):
    case.handler.bad = {"bad"}
    await case.world.bus.publish([Said(id="", key=KEY, body=b'{"type":1}'), *removed("a", "bad")])

    async def all_buried():
        await case.world.pass_time(max(RETRY_DELAYS))
        return len(await case.letters()) == 2

    await until(all_buried)
    counted = {
        outcome: sample("corral_bus_messages_total", queue=case.queue.name, outcome=outcome)
        for outcome in ("handled", "retried", "dead")
    }
    assert counted == {"handled": 1, "retried": len(RETRY_DELAYS), "dead": 2}


async def test_what_waits_for_a_busy_handler_is_told(case: Case):
    case.handler.gate.clear()
    for name in ("at hand", "next", "after that"):
        await case.world.bus.publish(removed(name))
        await case.world.rest()
    assert sample("corral_bus_waiting", queue=case.queue.name) == 2
    case.handler.gate.set()
    await until(lambda: len(case.handler.handled) == 3)
    assert sample("corral_bus_waiting", queue=case.queue.name) == 0


def test_queues_whose_names_contain_ids_share_one_label():
    kinds = {"scheduler.commands": QueueKind.WORK, "n-123": QueueKind.NODE}
    kinds["gateway.projection.456"] = QueueKind.PROJECTION
    labels = [Queue(name=name, keys=(), kind=kind).label for name, kind in kinds.items()]
    assert labels == ["scheduler.commands", "node", "projection"]


def _found(case: Case):
    async def letters():
        return await case.letters()

    return letters
