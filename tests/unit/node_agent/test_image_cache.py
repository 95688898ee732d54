"""The cache of a host: one download per tag, room made by age, what is used stays."""

import asyncio

import pytest

from contracts.distributions import DeleteTemplate
from contracts.vms import VmFailed, VmStarted
from node_agent.drivers.port import HostFault, NoSpace, VmSpec
from node_agent.drivers.simulated import SimulatedDriver
from node_agent.drivers.simulated_host import Delays
from tests.agent_world import NODE, AgentWorld, a_template
from tests.caches import DISK, a_cache, have, tags
from tests.clock import ManualClock, settle
from tests.waiting import until


async def test_a_missing_tag_is_pulled_and_a_cached_one_is_not(driver):
    cache = a_cache(driver)
    assert await have(cache, a_template("v1", size=100))
    assert await have(cache, a_template("v1", size=100)) == []


async def test_the_least_recently_used_tags_go_until_the_download_fits(driver):
    cache = a_cache(driver)
    for tag in ("v1", "v2", "v3"):
        await have(cache, a_template(tag, size=250))
    await driver.clone(VmSpec(name="vm", template=a_template("v1")))
    await driver.delete("vm")
    await have(cache, a_template("v4", size=300))
    assert tags(await driver.templates()) == ["v3", "v1", "v4"]


async def test_a_tag_with_a_vm_or_about_to_be_cloned_never_goes(driver):
    cache = a_cache(driver)
    await have(cache, a_template("v1", size=250))
    await driver.clone(VmSpec(name="vm", template=a_template("v1")))
    await have(cache, a_template("v2", size=250))
    async with cache.hold(a_template("v2", size=250), "", lambda _: None):
        with pytest.raises(NoSpace, match="rejecting due to lack of disk space"):
            await have(cache, a_template("v3", size=400))
    await have(cache, a_template("v3", size=400))
    assert tags(await driver.templates()) == ["v1", "v3"]


async def test_what_can_never_fit_is_rejected(driver):
    with pytest.raises(NoSpace):
        await have(a_cache(driver, reserve=200), a_template(size=801))
    await have(a_cache(driver, reserve=200), a_template(size=800))


async def test_the_default_reserve_is_a_fifth_of_the_disk(driver):
    assert await a_cache(driver, reserve=None).reserve() == 200


async def test_one_tag_is_downloaded_once_for_all_who_wait(clock: ManualClock):
    driver = SimulatedDriver("n", clock, hardware=DISK, delays=Delays(pull=10))
    cache = a_cache(driver)
    calls: list[int] = []
    real = driver.pull

    async def pull(*args):
        calls.append(1)
        await real(*args)

    driver.pull = pull
    waiting = [asyncio.create_task(have(cache, a_template(size=100))) for _ in range(3)]
    await settle()
    waiting[0].cancel()
    await clock.advance(10)
    told = await asyncio.gather(*waiting[1:])
    assert len(calls) == 1
    assert all(share[-1] == 1.0 for share in told)


async def test_a_download_that_nobody_waits_for_ends_and_can_begin_again(clock: ManualClock):
    driver = SimulatedDriver("n", clock, hardware=DISK, delays=Delays(pull=10))
    cache = a_cache(driver)
    waiting = asyncio.create_task(have(cache, a_template(size=100)))
    await settle()
    waiting.cancel()
    await settle()
    await clock.advance(20)
    assert await driver.templates() == ()
    again = asyncio.create_task(have(cache, a_template(size=100)))
    await settle()
    await clock.advance(10)
    await again


async def test_downloads_at_the_same_time_do_not_count_on_the_same_space(clock: ManualClock):
    driver = SimulatedDriver("n", clock, hardware=DISK, delays=Delays(pull=10))
    cache = a_cache(driver)
    first = asyncio.create_task(have(cache, a_template("v1", size=500)))
    await settle()
    with pytest.raises(NoSpace):
        await have(cache, a_template("v2", size=500))
    await clock.advance(10)
    await first


async def test_a_download_that_fails_fails_for_all_who_wait(driver):
    async def pull(*args):
        await asyncio.sleep(0)
        raise HostFault("registry gone")

    driver.pull = pull
    cache = a_cache(driver)
    both = [asyncio.create_task(have(cache, a_template(size=1))) for _ in range(2)]
    for result in await asyncio.gather(*both, return_exceptions=True):
        assert str(result) == "registry gone"


async def test_a_start_without_room_is_tried_elsewhere(world: AgentWorld):
    world.hardware = DISK
    await world.start()
    await world.order(world.run_vm(template=a_template(size=900)))
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final) == ("rejecting due to lack of disk space", False)


async def test_a_template_is_removed_from_the_cache_unless_in_use(world: AgentWorld):
    await world.start()
    await world.started("i-1", template=a_template("v1"))
    await world.started("i-2", template=a_template("v2"))
    await world.order(world.stop_vm("i-2"))
    await until(lambda: len(world.history("delete")) == 1)
    deadline = world.run_vm().deadline
    await world.order(DeleteTemplate(node_id=NODE, deadline=deadline, template_id="template-1"))
    await until(lambda: len(world.driver.hypervisor.templates) == 1)
    assert tags(await world.driver.templates()) == ["v1"]


async def test_a_cached_template_starts_without_the_registry(world: AgentWorld):
    await world.start()
    await world.started("i-1")
    await world.kill()
    await world.start()
    await world.order(world.run_vm("i-2"))
    await world.heard(VmStarted, 1, "i-2")
    assert world.driver.faults.calls == {}
