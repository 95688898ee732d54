"""What a node says of itself, and how a start stays valid."""

from datetime import timedelta

from contracts.messages import tag_of
from contracts.nodes import CapacityMode, ConfigureAgent, NodeGoodbye, NodeHeartbeat, NodeHello
from contracts.vms import VmFailed, VmPhase, VmProgress, VmStarted
from node_agent.drivers.port import VmSpec
from node_agent.drivers.simulated_host import Delays
from tests.agent_world import NODE, AgentWorld, a_template
from tests.clock import settle
from tests.waiting import until


def configure(world: AgentWorld, **fields) -> ConfigureAgent:
    deadline = world.run_vm().deadline
    return ConfigureAgent(node_id=NODE, deadline=deadline, **fields)


async def test_an_agent_introduces_itself_when_its_queue_is_there(world: AgentWorld):
    await world.start(groups="ios, big", max_vm_count=5, capacity_mode="resource")

    hello = await world.heard(NodeHello)

    facts = hello.facts
    assert (facts.name, facts.address, facts.driver) == ("mini", "10.0.0.21", "simulated")
    assert (facts.capacity, facts.groups, facts.queue) == (5, ("ios", "big"), NODE)
    assert facts.capacity_mode is CapacityMode.RESOURCE
    assert (facts.vcpu_limit, facts.ram_limit_gb) == (32, 62)
    assert facts.reserve == facts.disk_size // 5
    assert "simulated" in facts.hypervisor.product
    assert "vcpu" in facts.capabilities
    assert tag_of(hello) == "node.hello.v1"


async def test_a_heartbeat_comes_every_five_seconds_and_repeats_no_facts(world: AgentWorld):
    await world.start()
    await world.heard(NodeHello)
    for _ in range(300):
        await world.clock.advance(0.1)
    beats = world.said(NodeHeartbeat)
    assert 5 <= len(beats) <= 7
    assert all(beat.facts is None for beat in beats)
    assert all(beat.usage.free_disk > 0 for beat in beats)


async def test_facts_come_again_when_they_changed(world: AgentWorld):
    await world.start()
    await world.heard(NodeHello)
    await world.started()
    facts = (await world.beat()).facts
    assert [template.tag for template in facts.templates] == ["v1"]
    assert (await world.beat()).facts is None


async def test_the_cloud_can_change_the_pace_and_ask_for_a_hello(world: AgentWorld):
    await world.start()
    await world.heard(NodeHello)
    await world.order(configure(world, version=3, heartbeat=60.0, rejoin=True))
    await world.heard(NodeHello, 2)
    await world.order(configure(world, version=2, heartbeat=1.0))
    await settle()
    assert world.agent.nodes[NODE].heartbeat == 60.0


async def test_after_an_outage_of_the_bus_everything_is_said_in_full(world: AgentWorld):
    await world.start()
    await world.started()
    hellos = len(world.said(NodeHello))
    world.bus.cut()
    await world.clock.advance(30)
    world.bus.heal()
    hello = await world.heard(NodeHello, hellos + 1)
    assert hello.vms[0].phase is VmPhase.RUNNING
    assert hello.vms[0].info is not None


async def test_a_line_carries_the_vm_when_it_changed_and_every_twelfth_time(world: AgentWorld):
    await world.start()
    await world.heard(NodeHello)
    await world.started()
    told = [(await world.beat()).vms[0].info is not None for _ in range(24)]
    assert sum(told) == 2
    await world.clock.advance(1)
    world.driver.power_off(world.vm().record.vm_name)
    line = (await world.beat()).vms[0]
    assert (line.phase, line.info.status) == (VmPhase.STOPPED, "stopped")


async def test_a_vm_that_vanished_is_shown_as_gone(world: AgentWorld):
    await world.start()
    await world.started()
    world.driver.lose(world.vm().record.vm_name)
    line = (await world.beat()).vms[0]
    assert (line.phase, line.info) == (VmPhase.GONE, None)


async def test_foreign_vms_are_listed_with_their_labels_and_never_touched(world: AgentWorld):
    await world.start()
    await world.started()
    foreign = VmSpec(
        name="mgmtManaged-other",
        template=a_template(),
        cloud_id="cloud-2",
        instance_id="i-77",
        attempt=2,
    )
    await world.driver.clone(foreign)
    (unknown,) = (await world.beat()).unknown
    assert (unknown.name, unknown.cloud_id, unknown.instance_id, unknown.attempt) == (
        "mgmtManaged-other",
        "cloud-2",
        "i-77",
        2,
    )
    await world.kill()
    await world.start()
    hello = await world.heard(NodeHello, 2)
    assert [vm.name for vm in hello.unknown] == ["mgmtManaged-other"]


async def test_heartbeats_go_on_while_a_template_is_pulled(world: AgentWorld):
    world.delays = Delays(pull=30)
    await world.start()
    await world.order(world.run_vm())
    await world.heard(VmProgress)
    line = (await world.beat()).vms[0]
    assert line.phase is VmPhase.PULLING
    assert 0 < (await world.beat()).vms[0].progress < 1


async def test_a_start_that_is_not_confirmed_in_time_is_undone(world: AgentWorld):
    world.delays = Delays(start=2)
    await world.start()
    await world.heard(NodeHello)
    await world.order(world.run_vm(seconds=20))
    await until(lambda: world.history("clone"))
    world.bus.cut()
    await world.clock.advance(2)
    await until(lambda: world.vm().phase is VmPhase.RUNNING)
    for _ in range(20):
        await world.clock.advance(1)
    await until(lambda: world.history("delete"))
    world.bus.heal()
    for _ in range(5):
        await world.clock.advance(1)
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final) == ("the start was not confirmed in time", False)
    assert await world.driver.list_vms() == []


async def test_confirmed_heartbeats_keep_a_slow_start_valid(world: AgentWorld):
    world.delays = Delays(start=60)
    await world.start()
    await world.heard(NodeHello)
    await world.order(world.run_vm(seconds=20))
    await until(lambda: world.history("clone"))
    for _ in range(610):
        await world.clock.advance(0.1)
    await world.heard(VmStarted)
    assert world.said(VmFailed) == []


async def test_unconfirmed_heartbeats_do_not(world: AgentWorld):
    world.delays = Delays(start=60)
    await world.start()
    await world.heard(NodeHello)
    await world.order(world.run_vm(seconds=20))
    await until(lambda: world.history("clone"))
    world.bus.cut()
    for _ in range(230):
        await world.clock.advance(0.1)
    await until(lambda: world.history("delete"))
    assert not world.history("start")


async def test_reports_are_said_again_until_the_bus_takes_them(world: AgentWorld):
    world.delays = Delays(start=1)
    await world.start()
    await world.heard(NodeHello)
    await world.order(world.run_vm())
    await until(lambda: world.history("clone"))
    world.bus.cut()
    for _ in range(10):
        await world.clock.advance(0.5)
    await until(lambda: world.vm().phase is VmPhase.RUNNING)
    world.bus.heal()
    for _ in range(10):
        await world.clock.advance(0.5)
    await world.heard(VmStarted)
    assert len(world.history("start")) == 1


async def test_who_disjoins_says_goodbye_and_leaves_its_vms(world: AgentWorld):
    await world.start()
    await world.started()
    await world.agent.disjoin()
    assert (await world.heard(NodeGoodbye)).node_id == NODE
    await world.stop()
    assert [vm.info.status for vm in await world.driver.list_vms()] == ["running"]


async def test_many_nodes_of_a_process_can_share_one_queue(world: AgentWorld):
    await world.start(nodes=50, shared_queue=True)
    await world.heard(NodeHello, 50)
    assert {hello.facts.queue for hello in world.said(NodeHello)} == {NODE}
    ids = sorted(world.agent.nodes)
    await world.order(*(world.run_vm(f"i-{node}", node_id=node, queue=NODE) for node in ids))
    await world.heard(VmStarted, 50)
    assert {report.node_id for report in world.said(VmStarted)} == set(ids)


async def test_a_heartbeat_names_the_shared_queue_for_a_cloud_that_forgot_the_node(
    world: AgentWorld,
):
    await world.start(nodes=2, shared_queue=True)
    assert (await world.beat()).queue == NODE
    await world.stop()
    world.reports.clear()
    await world.start()
    assert (await world.beat()).queue == ""


async def test_a_heartbeat_after_the_end_of_validity_revives_nothing(world: AgentWorld):
    world.delays = Delays(start=10)
    await world.start()
    await world.heard(NodeHello)
    await world.order(world.run_vm(seconds=20))
    await until(lambda: world.history("clone"))
    before = world.vm().record.valid_until
    world.clock._start += timedelta(seconds=40)
    world.agent.nodes[NODE].beat()
    await settle()
    assert world.vm().record.valid_until == before
    await world.clock.advance(1)
    assert (await world.heard(VmFailed)).message == "the start was not confirmed in time"
