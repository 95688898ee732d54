"""Nodes, one by one, by group and all together: the same figures three times."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from api_gateway.domain.membership import groups_of
from api_gateway.entries import NodeEntry
from api_gateway.exporter.text import Text, pairs
from api_gateway.projection import Projection
from api_gateway.public.nodes import arch_of, capacity_of, name_of, state_of
from contracts.nodes import NodeState

ARCHITECTURES = ("amd64", "arm64")
_STATES = [(state, pairs(state=state.value)) for state in NodeState]

FIGURES = {
    "instance_count": "VMs that run.",
    "instance_capacity": "VMs that there may be.",
    "disk_free_space": "Free bytes of disk.",
    "disk_total_space": "Bytes of disk.",
    "disk_anka_used_space": "Bytes of disk used by templates and VMs.",
    "cpu_core_count": "Processor cores.",
    "cpu_util": "Share of the processors in use, 0 to 1 a node.",
    "ram_gb": "Memory in GiB.",
    "ram_util": "Share of the memory in use, 0 to 1 a node.",
    "used_virtual_cpu_count": "Virtual processors of VMs that run.",
    "used_virtual_ram_mb": "Memory of VMs that run, in MiB.",
}
"""End of the metric's name, and its meaning."""

_BY_ARCHITECTURE = "instance_capacity"
"""The one sum over all nodes that the exporter tells of each architecture."""


class Row(NamedTuple):
    """What is told of one node; ``figures`` in the order of FIGURES."""

    id: str
    name: str
    arch: str
    state: NodeState
    groups: tuple[str, ...]
    figures: tuple[float, ...]


def write_nodes(text: Text, projection: Projection) -> None:
    """Every family about nodes."""
    rows = [_row(entry, projection) for entry in projection.nodes.known()]
    names = {group.id: group.name for group in projection.groups.by_id.values()}
    _write_each(text, rows)
    _write_groups(text, rows, names)
    _write_all(text, rows)


def _row(entry: NodeEntry, projection: Projection) -> Row:
    spec, status = entry.spec, entry.status
    facts, usage = status.facts, status.usage
    used = projection.occupancy.of(entry.id)
    figures = (
        used.vms,
        capacity_of(spec, facts),
        usage.free_disk,
        facts.disk_size,
        usage.used_disk,
        facts.cpu_count,
        usage.cpu_util,
        facts.ram_gb,
        usage.ram_util,
        used.vcpu,
        used.vram_mb,
    )
    name, state = name_of(entry.id, spec, facts), state_of(spec, status)
    return Row(entry.id, name, arch_of(facts), state, groups_of(spec, status), figures)


def _write_each(text: Text, rows: Sequence[Row]) -> None:
    each = [pairs(id=row.id, name=row.name) for row in rows]
    text.gauge(
        "anka_node_states",
        "1 for the state that the node is in, 0 for the others.",
        (
            (f"{one},{shown}", int(state is row.state))
            for one, row in zip(each, rows, strict=True)
            for state, shown in _STATES
        ),
    )
    each = [f"{one},{pairs(arch=row.arch)}" for one, row in zip(each, rows, strict=True)]
    for place, (end, meaning) in enumerate(FIGURES.items()):
        values = (row.figures[place] for row in rows)
        text.gauge(f"anka_node_{end}", meaning, zip(each, values, strict=True))


def _write_groups(text: Text, rows: Sequence[Row], names: Mapping[str, str]) -> None:
    """Groups that have nodes; two of one name count as one, since the name is all that is told."""
    members: dict[str, list[Row]] = {}
    for row in rows:
        for name in {names[group] for group in row.groups if group in names}:
            members.setdefault(pairs(group_name=name), []).append(row)
    counted = ((group, len(found)) for group, found in members.items())
    text.gauge("anka_node_group_nodes_count", "Nodes of the group.", counted)
    states = {group: Counter(row.state for row in found) for group, found in members.items()}
    text.gauge(
        "anka_node_group_states_count",
        "Nodes of the group in this state.",
        (
            (f"{group},{shown}", counts[state])
            for group, counts in states.items()
            for state, shown in _STATES
        ),
    )
    sums = {group: _sums(found) for group, found in members.items()}
    for place, (end, meaning) in enumerate(FIGURES.items()):
        samples = ((group, figures[place]) for group, figures in sums.items())
        text.gauge(f"anka_node_group_{end}", meaning, samples)


def _write_all(text: Text, rows: Sequence[Row]) -> None:
    states = Counter((row.arch, row.state) for row in rows)
    text.gauge(
        "anka_node_states_count",
        "Nodes in this state.",
        (
            (f"{pairs(arch=arch)},{shown}", states[arch, state])
            for arch in ARCHITECTURES
            for state, shown in _STATES
        ),
    )
    text.total("anka_nodes_count", "Nodes.", len(rows))
    sums = _sums(rows)
    for place, (end, meaning) in enumerate(FIGURES.items()):
        if end == _BY_ARCHITECTURE:
            of_arch = [(arch, [row for row in rows if row.arch == arch]) for arch in ARCHITECTURES]
            samples = [(pairs(arch=arch), _sums(found)[place]) for arch, found in of_arch]
            text.gauge(f"anka_nodes_{end}", meaning, samples)
        else:
            text.total(f"anka_nodes_{end}", meaning, sums[place])


def _sums(rows: Iterable[Row]) -> list[float]:
    figures = [row.figures for row in rows]
    return [sum(column) for column in zip(*figures, strict=True)] or [0] * len(FIGURES)
