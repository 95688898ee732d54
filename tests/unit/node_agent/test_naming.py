"""Names, flags and identities."""

from pathlib import Path

import pytest

from chassis.config import BadSettings, parse_duration
from contracts.vms import Overrides
from node_agent.config import AgentSettings, parse_fault, parse_size
from node_agent.domain.names import vm_name
from node_agent.drivers.port import CannotHonour, Capability
from node_agent.drivers.simulated_host import FaultKind
from node_agent.identity import identities, local_address, process_id
from node_agent.overrides import NEEDS, check_overrides
from tests.agent_world import AgentWorld

NAME = {"prefix": "mgmtManaged", "node_name": "mini 1", "nanoseconds": 17, "taken": ()}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("", "mgmtManaged-base-17"),
        ("$template_name-$node_name-$ts", "mgmtManaged-base-mini-1-17"),
        ("${tag}_$instance_id", "mgmtManaged-v1_i-1"),
        ("$template_id.$node_id", "mgmtManaged-template-1.node-1"),
        ("a b/c:$unknown", "mgmtManaged-a-b-c--unknown"),
    ],
)
def test_a_pattern_becomes_a_name(world: AgentWorld, pattern: str, name: str):
    assert vm_name(world.run_vm(name_template=pattern), **NAME) == name


def test_a_name_that_the_host_has_gets_a_number(world: AgentWorld):
    run = world.run_vm(name_template="job")
    taken = {"mgmtManaged-job", "mgmtManaged-job-2"}
    assert vm_name(run, **(NAME | {"taken": taken})) == "mgmtManaged-job-3"


def test_another_prefix_and_the_default_for_an_empty_one(world: AgentWorld):
    run = world.run_vm()
    assert vm_name(run, **(NAME | {"prefix": "ci"})) == "ci-base-17"
    assert vm_name(run, **(NAME | {"prefix": ""})) == "mgmtManaged-base-17"


async def test_starts_with_one_pattern_have_different_names(world: AgentWorld):
    await world.start()
    first = await world.started("i-1", name_template="job")
    second = await world.started("i-2", name_template="job")
    assert (first.info.name, second.info.name) == ("mgmtManaged-job", "mgmtManaged-job-2")


def test_every_override_needs_a_capability():
    for name, capability in NEEDS.items():
        others = frozenset(Capability) - {capability}
        wish = Overrides(**{name: ()}) if "port" in name else Overrides(**{name: "1"})
        with pytest.raises(CannotHonour, match=f"^{name}: not supported by the tart driver"):
            check_overrides(wish, others, "tart")
        check_overrides(wish, frozenset({capability}), "tart")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024B", 1024), ("10KB", 10240), ("140MB", 140 << 20), ("45GB", 45 << 30), ("7", 7)],
)
def test_sizes(text: str, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("0.25", 0.25), ("1.5s", 1.5)],
)
def test_durations(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5 apples", "-3s"])
def test_what_is_no_size_or_duration_is_refused(text: str):
    with pytest.raises(BadSettings):
        parse_size(text)
    if text != "-3s":
        with pytest.raises(BadSettings):
            parse_duration(text)


def test_faults_on_request():
    fault = parse_fault("start:*3:hang")
    assert (fault.verb, fault.kind) == ("start", FaultKind.HANG)
    assert [call for call in range(1, 10) if fault.strikes(call)] == [3, 6, 9]
    assert parse_fault("clone:2:no-space").strikes(2)
    with pytest.raises(BadSettings):
        parse_fault("start:0:hang")
    with pytest.raises(BadSettings):
        AgentSettings(sim_faults="start:1:explode").faults  # noqa: B018 -- it is the reading


def test_an_agent_keeps_the_id_it_made(tmp_path: Path):
    made = process_id("", tmp_path)
    assert process_id("", tmp_path) == made
    assert process_id("i-092bc", tmp_path) == "i-092bc"
    assert process_id("", None) != process_id("", None)


def test_nodes_of_a_process_are_numbered():
    assert [(i.node_id, i.name) for i in identities("p", "mini", 1)] == [("p", "mini")]
    many = identities("p", "mini", 12)
    assert (many[0].node_id, many[11].name) == ("p-01", "mini-12")


def test_there_is_an_address():
    assert local_address().count(".") == 3
