"""From RunVm to VmStarted or VmFailed."""

import itertools

import pytest

from contracts.vms import (
    Overrides,
    PortRule,
    VmFailed,
    VmPhase,
    VmProgress,
    VmStarted,
)
from node_agent.drivers.port import Capability
from node_agent.drivers.simulated import SimulatedDriver
from node_agent.drivers.simulated_host import Delays, Fault, FaultKind
from tests.agent_world import NODE, AgentWorld, a_template
from tests.waiting import until


async def test_an_accepted_order_becomes_a_running_vm_and_a_full_report(world: AgentWorld):
    await world.start()

    await world.order(world.run_vm())

    started = await world.heard(VmStarted)
    said = (started.node_id, started.instance_id, started.attempt, started.epoch)
    assert said == (NODE, "i-1", 1, 1)
    info = started.info
    assert info.name.startswith("mgmtManaged-base-")
    assert (info.status, info.node_id, info.host_ip) == ("running", NODE, "10.0.0.21")
    assert info.ip.startswith("192.168.64.")
    assert (info.cpu_cores, info.ram_mb) == (2, 2048)
    assert [(rule.guest_port, rule.host_port) for rule in info.port_forwarding] == [(22, 10000)]
    assert info.timestamp == world.clock.now()
    assert [line.verb for line in world.history()] == ["clone", "start"]


async def test_overrides_show_in_the_report(world: AgentWorld):
    await world.start()
    wish = Overrides(
        vcpu=6,
        vram=8192,
        mac_address="52:54:00:AA:BB:01",
        vnc_password="x",
        port_forwarding_override=(
            PortRule(name="web", guest_port=80),
            PortRule(name="fixed", guest_port=5900, host_port=12000),
        ),
    )
    info = (await world.started(overrides=wish)).info
    assert (info.cpu_cores, info.ram_mb, info.mac_address) == (6, 8192, "52:54:00:AA:BB:01")
    assert [(rule.name, rule.host_port) for rule in info.port_forwarding] == [
        ("web", 10000),
        ("fixed", 12000),
    ]


async def test_what_the_driver_cannot_honour_is_final_and_names_the_field(
    world: AgentWorld, monkeypatch: pytest.MonkeyPatch
):
    without = SimulatedDriver.capabilities - {Capability.VLAN_TAG}
    monkeypatch.setattr(SimulatedDriver, "capabilities", without)
    await world.start()
    await world.order(world.run_vm(overrides=Overrides(vlan_tag="7")))
    failed = await world.heard(VmFailed)
    assert failed.final
    assert failed.message == "vlan_tag: not supported by the simulated driver"
    assert not world.history()


@pytest.mark.parametrize(("overrides", "verb"), [({}, "resume"), ({"vcpu": 4}, "start")])
async def test_a_suspended_tag_goes_on_where_it_was_unless_its_hardware_is_to_differ(
    world: AgentWorld, overrides: dict[str, int], verb: str
):
    await world.start()
    template = a_template(suspended=True)
    await world.started(template=template, overrides=Overrides(**overrides))
    assert [line.verb for line in world.history()] == ["clone", verb]


@pytest.mark.parametrize(
    ("verb", "kind", "final"),
    [
        ("start", FaultKind.HOST_FAULT, False),
        ("clone", FaultKind.HOST_FAULT, False),
        ("pull", FaultKind.NO_SPACE, False),
        ("start", FaultKind.CANNOT_HONOUR, True),
        ("start", FaultKind.LOSE, False),
    ],
)
async def test_a_fault_says_whether_another_node_may_try_and_leaves_nothing(
    world: AgentWorld, verb: str, kind: FaultKind, final: bool
):
    world.faults = (Fault(verb=verb, nth=1, kind=kind),)
    await world.start()
    await world.order(world.run_vm())
    if kind is FaultKind.LOSE:
        await world.heard(VmStarted)
        return
    failed = await world.heard(VmFailed)
    assert (failed.final, failed.vm_left) == (final, False)
    assert await world.driver.list_vms() == []


async def test_a_guest_that_stops_while_it_boots_is_a_failure(world: AgentWorld):
    world.faults = (Fault(verb="start", nth=1, kind=FaultKind.POWER_OFF),)
    world.delays = Delays(network=1)
    await world.start()
    await world.order(world.run_vm())
    await until(lambda: world.history("power-off"))
    await world.clock.advance(1)
    failed = await world.heard(VmFailed)
    assert failed.message == 'Unexpected VM state: "stopped"'
    assert not failed.final


async def test_a_boot_that_hangs_is_given_up_and_cleaned_up(world: AgentWorld):
    world.faults = (Fault(verb="start", nth=1, kind=FaultKind.HANG),)
    await world.start(start_timeout=20)
    await world.order(world.run_vm(seconds=1000))
    await until(lambda: world.history("clone"))
    for _ in range(52):
        await world.clock.advance(1)
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final, failed.vm_left) == (
        "the start took too long",
        False,
        False,
    )
    assert await world.driver.list_vms() == []


async def test_a_pull_is_told_about_once_a_second_and_then_preparing(world: AgentWorld):
    world.delays = Delays(pull=20, start=1)
    await world.start()
    await world.order(world.run_vm())
    await until(lambda: world.said(VmProgress))
    for _ in range(100):
        await world.clock.advance(0.25)
    await world.heard(VmStarted)
    told = world.said(VmProgress)
    assert [p.phase for p in told[:-1]] == [VmPhase.PULLING] * (len(told) - 1)
    assert told[-1].phase is VmPhase.PREPARING
    shares = [p.progress for p in told[:-1]]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    gaps = [
        (after.at - before.at).total_seconds() for before, after in itertools.pairwise(told[:-1])
    ]
    assert min(gaps) >= 1


async def test_a_start_of_a_cached_template_says_nothing_in_between(world: AgentWorld):
    await world.start()
    await world.started("i-1")
    world.reports.clear()
    await world.started("i-2")
    assert world.said(VmProgress) == []


async def test_an_order_past_its_deadline_is_too_late_for_this_node(world: AgentWorld):
    await world.start()
    order = world.run_vm(seconds=5)
    await world.clock.advance(6)
    await world.order(order)
    failed = await world.heard(VmFailed)
    assert (failed.message, failed.final) == ("too late", False)
    assert not world.history()


async def test_two_workers_boot_at_the_same_time_and_no_more(world: AgentWorld):
    world.delays = Delays(start=10)
    await world.start(driver="real", num_workers=2)
    await world.order(*(world.run_vm(f"i-{number}") for number in range(4)))
    await until(lambda: len(world.history("clone")) == 2)
    await world.clock.advance(10)
    await until(lambda: len(world.history("clone")) == 4)
    await world.clock.advance(10)
    await world.heard(VmStarted, 4)


async def test_a_pull_does_not_block_the_start_of_a_cached_template(world: AgentWorld):
    await world.start(driver="real", num_workers=2)
    await world.started("i-1")
    world.driver._delays = Delays(pull=1000)
    await world.order(
        world.run_vm("i-2", template=a_template("v2")),
        world.run_vm("i-3", template=a_template("v3")),
    )
    await until(lambda: world.said(VmProgress, "i-3"))
    await world.started("i-4")


async def test_a_node_that_is_not_ours_is_ignored(world: AgentWorld):
    await world.start()
    await world.order(world.run_vm("i-9", node_id="other", queue=NODE), world.run_vm("i-1"))
    await world.heard(VmStarted, 1, "i-1")
    assert world.said(VmStarted, "i-9") == []
