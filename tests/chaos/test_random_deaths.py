"""Five hundred starts while schedulers and agents die at random named points."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.chaos.oracle import assert_sound
from tests.chaos.test_kill_points import AGENT_POINTS, SCHEDULER_POINTS
from tests.cloud import Cloud
from tests.fates import Fate
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

STARTS, AT_ONCE = 500, 25
NODES = tuple(f"n{number}" for number in range(6))
ROOM = STARTS // len(NODES) + AT_ONCE


PATIENT = {"validity_seconds": 20.0, "node_active_timeout": 20.0}
"""An agent that dies several times within a short validity would have to give its VMs up."""


class Reaper:
    """Lets one service at a time run into a random point, and starts its successor."""

    def __init__(self, cloud: Cloud, seed: int) -> None:
        self._cloud = cloud
        self._random = random.Random(seed)
        self._watches: set[asyncio.Task[None]] = set()
        self.deaths = 0

    async def scheduler(self) -> None:
        """A scheduler that dies somewhere, and is replaced."""
        fate = self._doomed([point for point, _ in SCHEDULER_POINTS], 6)
        self._watch(fate, self.scheduler)
        await self._born(self._cloud.scheduler(fate, **PATIENT), fate)

    async def agent(self, node_id: str) -> None:
        """An agent that dies somewhere, and comes back on the same host."""
        fate = self._doomed([point for point, _ in AGENT_POINTS if "script" not in point], 15)
        self._watch(fate, lambda: self.agent(node_id))
        await self._born(self._cloud.agent(node_id, fate, max_vm_count=ROOM), fate)

    def rest(self) -> None:
        """No more deaths from now on but those that are decided; their successors live."""
        self._doomed = lambda _points, _most: Fate()  # type: ignore[method-assign]

    def leave(self) -> None:
        """Watch no more: the end of the test is no death."""
        for watch in self._watches:
            watch.cancel()

    def _doomed(self, points: list[str], most: int) -> Fate:
        return Fate(self._random.choice(points), self._random.randint(1, most))

    async def _born(self, start: Coroutine[Any, Any, Fate], fate: Fate) -> None:
        """Wait for a start; some die in it."""
        started, died = asyncio.create_task(start, name="loop:start"), fate.dead.wait()
        await asyncio.wait(
            {started, asyncio.create_task(died)}, return_when=asyncio.FIRST_COMPLETED
        )

    def _watch(self, fate: Fate, succeed) -> None:
        async def watch() -> None:
            await fate.dead.wait()
            self.deaths += 1
            await fate.kill()
            await succeed()

        task = asyncio.create_task(watch(), name="loop:reaper")
        self._watches.add(task)


async def test_random_deaths_lose_double_and_orphan_nothing(bare_cloud):
    cloud = bare_cloud
    reaper = Reaper(cloud, seed=7)
    await reaper.scheduler()
    await reaper.scheduler()
    await cloud.gateway()
    for node_id in NODES:
        await reaper.agent(node_id)
    await cloud.ready(len(NODES))
    wanted: set[str] = set()
    for round_number in range(STARTS // AT_ONCE):
        ids = await cloud.start(count=AT_ONCE)
        unwanted = ids[: round_number % 5]
        for vm in unwanted:
            await cloud.call("DELETE", "vm", {"id": vm})
        wanted |= set(ids[len(unwanted) :])
        await cloud.reaches(sorted(wanted), "Started", 60)
    reaper.rest()
    await until(lambda: _settled(cloud, wanted), 120, every=0.25)
    reaper.leave()
    assert reaper.deaths >= 20
    await assert_sound(cloud, wanted)


async def _settled(cloud: Cloud, wanted: set[str]) -> bool:
    """Everything wanted runs, and nothing else is listed."""
    listed = (await cloud.call("GET", "vm"))["body"]
    states = {item["instance_id"]: item["vm"]["instance_state"] for item in listed}
    live = cloud.live_vms()
    return states == dict.fromkeys(wanted, "Started") and set(live) == wanted
