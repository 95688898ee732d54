"""The cache of one simulated host with a small disk."""

from collections.abc import Sequence

from contracts.nodes import CachedTemplate
from contracts.templates import TemplateRef
from node_agent.drivers.simulated import SimulatedDriver
from node_agent.drivers.simulated_host import SimulatedHardware
from node_agent.image_cache import ImageCache
from node_agent.workers import Workers

DISK = SimulatedHardware(disk_size=1000)


def a_cache(driver: SimulatedDriver, reserve: int | None = 200, workers: int = 0) -> ImageCache:
    clock = driver._clock
    return ImageCache(driver, lambda address: None, Workers(workers), reserve, clock.monotonic)


async def have(cache: ImageCache, template: TemplateRef, *, ahead: bool = False) -> Sequence[float]:
    told: list[float] = []
    async with cache.hold(template, "http://registry", told.append, ahead=ahead):
        return told


def tags(cached: Sequence[CachedTemplate]) -> list[str]:
    return [template.tag for template in cached]
