"""What time triggers; each step is one turn of the decider."""

from datetime import timedelta

from chassis.bus.port import Bus
from contracts.stats import StatsDocument
from scheduler.domain.limits import Moment
from scheduler.domain.world import World
from scheduler.handlers.commands import observe_document
from scheduler.handlers.groups import learn_groups
from scheduler.handlers.macs import observe_pool
from scheduler.handlers.nodes import obey
from scheduler.handlers.nodes import observe_document as observe_node
from scheduler.handlers.pools import fill_pools
from scheduler.handlers.timers import tick
from scheduler.loading import Loader
from scheduler.telemetry import measure
from scheduler.turn import Turns


class Steps:
    """The periodic steps, to be called by loops."""

    def __init__(self, turns: Turns, loader: Loader, bus: Bus, keep_images: float) -> None:
        self._turns = turns
        self._loader = loader
        self._bus = bus
        self._keep_images = timedelta(seconds=keep_images)
        self._deaf = False

    async def tick(self) -> None:
        """Look at the clocks. While the bus is down nobody can be heard, so nobody is silent."""
        if not self._bus.connected:
            self._deaf = True
            return

        def step(world: World, moment: Moment) -> None:
            if self._deaf:
                _everybody_heard(world, moment)
            tick(world, moment)
            measure(world, moment.now)

        await self._turns.step(step)
        self._deaf = False

    async def sweep(self) -> None:
        """Find wishes whose message was lost."""
        if not self._turns.leading:
            return
        instances, nodes, images = await self._loader.pending()
        pool = await self._loader.pending_pool()

        def step(world: World, moment: Moment) -> None:
            for document in instances:
                observe_document(world, document, moment)
            for node in nodes:
                observe_node(world, node, moment)
            if pool is not None:
                observe_pool(world, pool, moment)

        if instances or nodes or pool:
            await self._turns.step(step)
        if images:
            await self._turns.handle(images)

    async def read_settings(self) -> None:
        """Node groups, grants on nodes and the configuration are the gateway's; read them anew.

        Groups are left for the next time when one was heard of while they were read.
        """
        if not self._turns.leading:
            return
        known: list[object] = []
        await self._turns.step(lambda world, _moment: known.append(world.cluster.groups))
        groups, granted = await self._loader.groups(), await self._loader.granted()
        configuration = await self._loader.configuration()

        def step(world: World, moment: Moment) -> None:
            obey(world, configuration, moment)
            current = bool(known) and known[0] is world.cluster.groups
            if current and world.cluster.groups != groups:
                learn_groups(world, groups, moment)
            if world.cluster.granted != granted:
                world.cluster.grant(granted)

        await self._turns.step(step)

    async def write_stats(self) -> None:
        """Show how busy this scheduler is."""
        found: list[StatsDocument] = []

        def step(world: World, moment: Moment) -> None:
            found.append(world.pace.stats(world.instances.values(), world.epoch, moment))

        await self._turns.step(step)
        for stats in found:
            await self._loader.write_stats(stats)

    async def fill_pools(self) -> None:
        """Pools are the gateway's; read them anew and bring them to their sizes."""
        if not self._turns.leading:
            return
        pools, templates = await self._loader.pools()
        await self._turns.step(lambda world, moment: fill_pools(world, pools, templates, moment))

    async def forget_images(self) -> None:
        """Remove image requests that have been shown for long enough; no message depends on one."""
        if self._turns.leading:
            await self._loader.forget_images(self._turns.moment().now - self._keep_images)


def _everybody_heard(world: World, moment: Moment) -> None:
    for node in world.cluster.nodes.values():
        node.heard = moment.tick
