"""From RunVm to VmStarted or VmFailed."""

from contracts.messages import tag_of
from contracts.nodes import NodeHello
from contracts.vms import VmStarted
from tests.agent_world import NODE, AgentWorld


async def test_an_accepted_order_becomes_a_running_vm_and_a_full_report(world: AgentWorld):
    await world.start()

    await world.order(world.run_vm())

    started = await world.heard(VmStarted)
    assert (started.node_id, started.instance_id, started.attempt, started.epoch) == (
        NODE,
        "i-1",
        1,
        1,
    )
    info = started.info
    assert info.name.startswith("mgmtManaged-base-")
    assert (info.status, info.node_id, info.host_ip) == ("running", NODE, "10.0.0.21")
    assert info.ip.startswith("192.168.64.")
    assert (info.cpu_cores, info.ram_mb) == (2, 2048)
    assert [(rule.guest_port, rule.host_port) for rule in info.port_forwarding] == [(22, 10000)]
    assert info.timestamp == world.clock.now()
    assert [line.verb for line in world.history()] == ["clone", "start"]


async def test_an_agent_introduces_itself_when_its_queue_is_there(world: AgentWorld):
    await world.start(groups="ios, big", max_vm_count=5)

    hello = await world.heard(NodeHello)

    facts = hello.facts
    assert (facts.name, facts.address, facts.driver) == ("mini", "10.0.0.21", "simulated")
    assert (facts.capacity, facts.groups, facts.queue) == (5, ("ios", "big"), NODE)
    assert "simulated" in facts.hypervisor.product
    assert "vcpu" in facts.capabilities
    assert tag_of(hello) == "node.hello.v1"
