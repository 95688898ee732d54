"""How long the parts of a start took, as the agent reports it."""

from contracts.vms import Script, ScriptCondition, StartTimes, VmStarted
from node_agent.drivers.simulated_host import Delays
from tests.agent_world import AgentWorld
from tests.waiting import until


async def took(world: AgentWorld, **wish) -> StartTimes:
    await world.order(world.run_vm(**wish))

    async def over() -> bool:
        await world.clock.advance(0.25)
        return bool(world.said(VmStarted))

    await until(over, every=0)
    return world.said(VmStarted)[0].took


async def test_every_part_of_a_start_is_timed(world: AgentWorld):
    world.delays = Delays(pull=8, clone=2, start=3, network=1, script=4)
    await world.start(sim_pull=8)
    times = await took(world, script=Script(body=b"exit 0"))
    assert times.pulling >= 8
    assert 2 <= times.preparing < 8
    assert 4 <= times.boot < 8
    assert times.script >= 4


async def test_what_a_start_did_not_need_took_no_time(world: AgentWorld):
    world.delays = Delays(start=3)
    await world.start()
    times = await took(world)
    assert (times.pulling, times.script) == (0, 0)
    assert times.boot >= 3


async def test_a_script_that_waits_for_no_network_is_timed_from_the_boot(world: AgentWorld):
    world.delays = Delays(start=3, network=60, script=4)
    await world.start()
    times = await took(world, script=Script(body=b"exit 0", condition=ScriptCondition.BOOTED))
    assert 3 <= times.boot < 60
    assert times.script >= 4
