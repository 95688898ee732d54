"""Killing an agent between any two steps, and starting the next one on the same journal and VMs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from node_agent.drivers.port import VmDriver
from node_agent.journal import Journal
from tests.agent_world import AgentWorld
from tests.waiting import until

BEFORE, AFTER = "before", "after"


class Trap:
    """Lets a verb get as far as a point, and no further: there the agent is killed."""

    def __init__(self, verb: str, point: str, call: int = 1) -> None:
        self.verb = verb
        self.point = point
        self.sprung = asyncio.Event()
        self._left = call

    def around(self, verb: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def trapped(*args: Any, **given: Any) -> Any:
            self._left -= 1
            if self._left == 0 and self.point == BEFORE:
                await self._spring()
            result = await verb(*args, **given)
            if self._left == 0 and self.point == AFTER:
                await self._spring()
            return result

        return trapped

    def driver(self, driver: VmDriver) -> VmDriver:
        setattr(driver, self.verb, self.around(getattr(driver, self.verb)))
        return driver

    def journal(self, journal: Journal) -> None:
        journal.sync = self.around(journal.sync)  # type: ignore[method-assign]

    async def _spring(self) -> None:
        self.sprung.set()
        await asyncio.get_running_loop().create_future()


async def killed_at(world: AgentWorld, trap: Trap, *orders: Any) -> None:
    """Run an agent into the trap, kill it there, and start the next one without any."""
    if trap.verb == "sync":
        world.trap = trap.journal
    else:
        world.wrap = trap.driver
    await world.start()
    await world.order(*orders)
    await asyncio.wait_for(trap.sprung.wait(), 10)
    await world.kill()
    world.free()
    await world.start()


async def written(world: AgentWorld) -> None:
    """What nobody waits for is on the disk too."""
    await world.clock.advance(1)
    await until(lambda: world.part(Journal)._flusher.done() is True)
