"""What leaves the cache of a host, for whom, and what comes in between."""

import asyncio

import msgspec
import pytest

from contracts.nodes import CachedTemplate
from node_agent.drivers.port import NoSpace
from node_agent.drivers.simulated import SimulatedDriver
from node_agent.drivers.simulated_host import Delays
from node_agent.image_source import LocalImage
from tests.agent_world import a_template
from tests.caches import DISK, a_cache, have, tags
from tests.clock import ManualClock, settle


async def test_large_templates_do_not_push_each_other_out_ahead_of_time(driver, clock: ManualClock):
    cache = a_cache(driver)
    await have(cache, a_template("v1", size=600), ahead=True)
    with pytest.raises(NoSpace):
        await have(cache, a_template("v2", size=600), ahead=True)
    assert tags(await driver.templates()) == ["v1"]
    await clock.advance(3601)
    await have(cache, a_template("v2", size=600), ahead=True)
    assert tags(await driver.templates()) == ["v2"]


async def test_a_start_may_push_out_what_was_only_pulled_ahead(driver):
    cache = a_cache(driver)
    await have(cache, a_template("v1", size=600), ahead=True)
    await have(cache, a_template("v2", size=600))
    assert tags(await driver.templates()) == ["v2"]


async def test_a_start_that_joins_a_pull_ahead_of_time_may_push_out_as_well(clock: ManualClock):
    driver = SimulatedDriver("n", clock, hardware=DISK)
    cache = a_cache(driver)
    await have(cache, a_template("v1", size=600))
    asked, go_on = asyncio.Event(), asyncio.Event()
    real = driver.missing_bytes

    async def missing_bytes(*args):
        asked.set()
        await go_on.wait()
        return await real(*args)

    driver.missing_bytes = missing_bytes
    ahead = asyncio.create_task(have(cache, a_template("v2", size=600), ahead=True))
    await asked.wait()
    start = asyncio.create_task(have(cache, a_template("v2", size=600)))
    await settle()
    go_on.set()
    await asyncio.gather(ahead, start)
    assert tags(await driver.templates()) == ["v2"]


async def test_a_start_does_not_wait_behind_pulls_ahead_of_time(clock: ManualClock):
    driver = SimulatedDriver("n", clock, hardware=DISK, delays=Delays(pull=10))
    cache = a_cache(driver, workers=2)
    ahead = asyncio.create_task(have(cache, a_template("v1", size=100), ahead=True))
    await clock.advance(5)
    start = asyncio.create_task(have(cache, a_template("v2", size=100)))
    await clock.advance(6)
    await ahead
    await clock.advance(4)
    assert start.done()


async def test_what_nothing_needs_goes_before_any_tag(driver):
    cache = a_cache(driver)
    await have(cache, a_template("v1", size=400))
    driver.hypervisor.sizes["broken-off"] = 400
    real = driver.evict

    async def evict(template):
        if template is None:
            driver.hypervisor.sizes.pop("broken-off")
        await real(template)

    driver.evict = evict
    await have(cache, a_template("v2", size=400))
    assert tags(await driver.templates()) == ["v1", "v2"]


class SlowEviction:
    """A driver whose next eviction lasts until ``go_on``."""

    def __init__(self, driver: SimulatedDriver) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self._real = driver.evict
        driver.evict = self

    async def __call__(self, template: CachedTemplate | None) -> None:
        if template is not None:
            self.begun.set()
            await self.go_on.wait()
        await self._real(template)


async def test_a_start_that_comes_while_its_tag_is_removed_pulls_it_again(driver):
    cache = a_cache(driver)
    await have(cache, a_template("v1", size=100))
    slow = SlowEviction(driver)
    removal = asyncio.create_task(cache.remove("template-1"))
    await slow.begun.wait()
    start = asyncio.create_task(have(cache, a_template("v1", size=100)))
    await settle()
    assert not start.done()
    slow.go_on.set()
    await removal
    assert (await start)[-1] == 1.0
    assert tags(await driver.templates()) == ["v1"]


async def test_a_removal_leaves_what_a_start_is_pulling(clock: ManualClock):
    driver = SimulatedDriver("n", clock, hardware=DISK, delays=Delays(pull=10))
    cache = a_cache(driver)
    start = asyncio.create_task(have(cache, a_template("v1", size=100)))
    await settle()
    await cache.remove("template-1")
    await clock.advance(10)
    await start
    assert tags(await driver.templates()) == ["v1"]
    await cache.remove("template-1")
    assert await driver.templates() == ()


async def test_two_who_make_room_at_once_evict_a_tag_once(driver):
    cache = a_cache(driver)
    await have(cache, a_template("v1", size=600))
    slow = SlowEviction(driver)
    removal = asyncio.create_task(cache.remove("template-1"))
    await slow.begun.wait()
    start = asyncio.create_task(have(cache, a_template("v2", size=600)))
    await settle()
    slow.go_on.set()
    await asyncio.gather(removal, start)
    assert tags(await driver.templates()) == ["v2"]


async def test_a_tag_pushed_anew_is_another_download(clock: ManualClock):
    driver = SimulatedDriver("n", clock, hardware=DISK, delays=Delays(pull=10))
    cache = a_cache(driver)
    old = a_template("v1", size=100)
    new = msgspec.structs.replace(old, digest="sha256:new")
    both = [asyncio.create_task(have(cache, template)) for template in (old, new)]
    await settle()
    await clock.advance(10)
    await asyncio.gather(*both)
    assert {cached.digest for cached in await driver.templates()} == {old.digest, new.digest}


async def test_a_tag_that_was_made_here_is_used_as_one_that_was_pulled(driver, clock: ManualClock):
    cache = a_cache(driver)
    await cache.keep(a_template("made", size=600), LocalImage(b"", {}))
    with pytest.raises(NoSpace):
        await have(cache, a_template("v2", size=600), ahead=True)
    assert tags(await driver.templates()) == ["made"]
    await clock.advance(3601)
    await have(cache, a_template("v2", size=600), ahead=True)
    assert tags(await driver.templates()) == ["v2"]


async def test_a_tag_does_not_leave_while_it_comes_into_the_cache(clock: ManualClock):
    driver = SimulatedDriver("n", clock, hardware=DISK, delays=Delays(pull=10))
    cache = a_cache(driver)
    await asyncio.gather(have(cache, a_template("made", size=100)), clock.advance(10))
    keeping = asyncio.create_task(cache.keep(a_template("made", size=100), LocalImage(b"", {})))
    await settle()
    await cache.remove("template-1")
    assert tags(await driver.templates()) == ["made"]
    await clock.advance(10)
    await keeping
