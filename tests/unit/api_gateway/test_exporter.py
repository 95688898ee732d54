"""The public exporter's metrics: its names and labels, and what they count."""

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api_gateway.exporter.exporter import Exporter
from api_gateway.projection import Projection
from api_gateway.registry_client import Registry, RegistryDisk
from contracts.groups import GroupDocument
from contracts.instances import InstanceState
from contracts.nodes import NodeState, NodeUsage
from contracts.vms import Overrides
from tests.clock import ManualClock
from tests.cloud import a_template
from tests.unit.api_gateway.documents import instance_spec, instance_status, node_spec, node_status

OF_ONE = {
    "instance_count",
    "instance_capacity",
    "disk_free_space",
    "disk_total_space",
    "disk_anka_used_space",
    "cpu_core_count",
    "cpu_util",
    "ram_gb",
    "ram_util",
    "used_virtual_cpu_count",
    "used_virtual_ram_mb",
}
DOCUMENTED = {
    "anka_controller_state_count": {"state"},
    "anka_registry_state_count": {"state"},
    "anka_instance_state_count": {"arch", "state"},
    "anka_instance_state_per_template_count": {"state", "template_uuid", "template_name"},
    "anka_instance_max_age_per_template_seconds": {"state", "template_uuid", "template_name"},
    "anka_instance_state_per_group_count": {"state", "group_uuid"},
    "anka_instance_state_per_node_count": {"state", "node_uuid"},
    "anka_node_states": {"id", "name", "state"},
    "anka_node_states_count": {"arch", "state"},
    "anka_node_group_nodes_count": {"group_name"},
    "anka_node_group_states_count": {"group_name", "state"},
    "anka_nodes_count": set(),
    "anka_registry_disk_total_space": set(),
    "anka_registry_disk_free_space": set(),
    "anka_registry_disk_used_space": set(),
    "anka_registry_template_count": set(),
    "anka_registry_template_disk_used": {"template_uuid", "template_name"},
    "anka_registry_template_tags_count": {"template_uuid", "template_name"},
    "anka_registry_template_tag_disk_used": {"template_uuid", "template_name", "tag_name"},
    **{f"anka_node_{end}": {"id", "name", "arch"} for end in OF_ONE},
    **{f"anka_node_group_{end}": {"group_name"} for end in OF_ONE},
    **{f"anka_nodes_{end}": set() for end in OF_ONE},
    "anka_nodes_instance_capacity": {"arch"},
}


class Page:
    """A cloud as the gateway knows it, and what is told of it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.projection = Projection(clock)
        self.registry = Registry("http://127.0.0.1:9", 1)
        self.exporter = Exporter(self.projection, self.registry, clock)

    def node(self, identity="n1", spec=None, **status):
        moments = (self.clock.now(), (1, spec or node_spec()), (1, node_status(**status)))
        self.projection.nodes.merge(identity, *moments)

    def instance(self, identity, state, *, age=0.0, spec=None, **status):
        now = self.clock.now()
        made = now - timedelta(seconds=age)
        status = instance_status(**{"state": state, "changed": now} | status)
        self.projection.instances.merge(identity, made, (1, spec or instance_spec()), (1, status))

    def families(self):
        return list(text_string_to_metric_families(self.exporter().decode()))

    def values(self, name, /, **wanted):
        """Of the samples with these labels."""
        samples = [one for family in self.families() for one in family.samples]
        found = [one for one in samples if one.name == name]
        return [one.value for one in found if wanted.items() <= one.labels.items()]

    def value(self, name, /, **wanted):
        (value,) = self.values(name, **wanted)
        return value


@pytest.fixture
def page(clock):
    return Page(clock)


@pytest.fixture
def full(page):
    """One of everything."""
    page.projection.groups.replace([GroupDocument(id="g1", name="builders")])
    page.node(spec=node_spec(groups=("g1",)))
    page.projection.templates.stored(a_template())
    page.registry.running, page.registry.disk = True, RegistryDisk(free=30, total=100)
    page.instance("i1", InstanceState.STARTED, spec=instance_spec(group_id="g1"), node_id="n1")
    return page


def test_all_documented_names_are_there_with_their_labels_and_no_others(full):
    families = full.families()
    assert {family.type for family in families} == {"gauge"}
    told = {family.name: [set(sample.labels) for sample in family.samples] for family in families}
    assert told.keys() == DOCUMENTED.keys()
    for name, labels in DOCUMENTED.items():
        assert told[name], f"{name} has no samples"
        assert all(sample == labels for sample in told[name]), name


def test_an_empty_cloud_has_no_holes_in_what_is_counted_over_all(page):
    assert page.value("anka_nodes_count") == 0
    assert page.value("anka_nodes_disk_free_space") == 0
    assert page.value("anka_nodes_instance_capacity", arch="arm64") == 0
    assert page.values("anka_instance_state_count") == [0] * 18
    assert page.values("anka_node_states_count") == [0] * 12


def test_instances_are_counted_by_what_they_are_of(page):
    grouped = instance_spec(group_id="g1")
    page.instance("i1", InstanceState.STARTED, spec=grouped, node_id="n1")
    page.instance("i2", InstanceState.STARTED, node_id="n1")
    page.instance("i3", InstanceState.PULLING, node_id="n2")
    page.instance("i4", InstanceState.SCHEDULING)
    assert page.value("anka_instance_state_count", arch="arm64", state="Started") == 2
    assert page.value("anka_instance_state_count", arch="amd64", state="Started") == 0
    started = {"template_uuid": "tpl", "template_name": "base", "state": "Started"}
    assert page.value("anka_instance_state_per_template_count", **started) == 2
    of_node = "anka_instance_state_per_node_count"
    assert page.value(of_node, node_uuid="n1", state="Started") == 2
    assert page.value(of_node, node_uuid="n2", state="Pulling") == 1
    assert page.values(of_node, node_uuid="") == []
    of_group = "anka_instance_state_per_group_count"
    assert sum(page.values(of_group)) == 1
    assert page.value(of_group, group_uuid="g1", state="Started") == 1


def test_a_wish_to_terminate_shows_as_it_does_in_the_api(page):
    page.instance("i1", InstanceState.STARTED, spec=instance_spec(terminate=True))
    assert page.value("anka_instance_state_count", arch="arm64", state="Terminating") == 1


@pytest.mark.parametrize(
    ("state", "age"),
    [(InstanceState.STARTED, 300), (InstanceState.SCHEDULING, 300), (InstanceState.ERROR, 0)],
)
def test_age_counts_from_the_making_of_what_starts_and_runs_else_from_the_last_change(
    page, state, age
):
    page.instance("i1", state, age=300)
    page.instance("i2", state, age=10)
    name = "anka_instance_max_age_per_template_seconds"
    assert page.value(name, state=state.value) == age


def test_a_template_that_was_renamed_has_one_name(page):
    page.projection.templates.stored(a_template(id="tpl", name="renamed"))
    page.instance("i1", InstanceState.STARTED)
    shown = {"state": "Started", "template_uuid": "tpl"}
    assert page.value("anka_instance_state_per_template_count", **shown) == 1
    assert page.values("anka_instance_state_per_template_count", template_name="base") == []


def test_figures_of_nodes_are_told_of_each_of_groups_and_of_all(page):
    page.projection.groups.replace([GroupDocument(id="g1", name="builders")])
    usage = NodeUsage(cpu_util=0.25, ram_util=0.5, free_disk=40, used_disk=60)
    facts = {"capacity": 3, "cpu_count": 8, "ram_gb": 32, "disk_size": 100}
    page.node("n1", node_spec(groups=("g1",)), facts=facts, usage=usage)
    page.node("n2", node_spec(capacity=5, name="mini-02"), facts=facts, usage=usage)
    running = instance_spec(overrides=Overrides(vcpu=4, vram=4096))
    page.instance(
        "i1", InstanceState.STARTED, spec=running, node_id="n1", live=True, was_started=True
    )
    told = {
        "instance_count": (1, 1, 1),
        "disk_free_space": (40, 40, 80),
        "disk_anka_used_space": (60, 60, 120),
        "cpu_util": (0.25, 0.25, 0.5),
        "ram_gb": (32, 32, 64),
        "used_virtual_cpu_count": (4, 4, 4),
        "used_virtual_ram_mb": (4096, 4096, 4096),
    }
    for end, (one, group, every) in told.items():
        assert page.value(f"anka_node_{end}", id="n1", name="mini-01", arch="arm64") == one, end
        assert page.value(f"anka_node_group_{end}", group_name="builders") == group, end
        assert page.value(f"anka_nodes_{end}") == every, end
    assert page.value("anka_node_instance_capacity", name="mini-02") == 5
    assert page.value("anka_nodes_instance_capacity", arch="arm64") == 8
    assert page.value("anka_node_group_nodes_count", group_name="builders") == 1


def test_a_node_is_in_exactly_one_state(page):
    page.node("n1", node_spec(drain=True))
    states = {state.value: page.value("anka_node_states", state=state.value) for state in NodeState}
    assert [state for state, is_in in states.items() if is_in] == ["Drain Mode"]
    assert page.value("anka_node_states_count", arch="arm64", state="Drain Mode") == 1


async def test_the_size_of_the_registrys_disk_is_not_made_up_while_it_is_away(full):
    assert full.value("anka_registry_disk_used_space") == 70
    full.registry.running, full.registry.disk = False, None
    await full.clock.advance(1)
    assert full.values("anka_registry_disk_free_space") == []
    assert full.value("anka_registry_state_count", state="FAIL") == 1


def test_names_that_people_give_cannot_break_the_page(page):
    name = 'mini "one"\\\n{x="y"} 1'
    page.node("n1", node_spec(name=name))
    assert page.value("anka_node_ram_gb", id="n1", name=name) == 0


async def test_whoever_asks_more_than_once_a_second_gets_the_same_page(page):
    assert page.value("anka_nodes_count") == 0
    page.node()
    assert page.value("anka_nodes_count") == 0
    await page.clock.advance(1)
    assert page.value("anka_nodes_count") == 1
