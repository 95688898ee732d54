"""Instances by state: of an architecture, a template, a group, a node."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from api_gateway.exporter.nodes import ARCHITECTURES
from api_gateway.exporter.text import Text, pairs
from api_gateway.projection import Projection
from api_gateway.public.instances import state_of
from api_gateway.public.scalars import architecture
from contracts.instances import InstanceState

_STATES = [(state, pairs(state=state.value)) for state in InstanceState]
_SINCE_CREATION = {InstanceState.STARTED, InstanceState.SCHEDULING}
"""States whose age counts from the instance's making; that of others from their last change."""

_Of = tuple[str, InstanceState]


class _Counts:
    """One pass over all instances; whatever they have in common is then added up once."""

    def __init__(self, projection: Projection) -> None:
        self.names: dict[str, str] = {}
        self.oldest: dict[_Of, datetime] = {}
        alike = []
        for entry in projection.instances:
            spec, status = entry.spec, entry.status
            state, template = state_of(spec, status), spec.template
            alike.append((template.arch, template.id, spec.group_id, status.node_id, state))
            self.names[template.id] = template.name
            since = entry.created if state in _SINCE_CREATION else status.changed
            key = (template.id, state)
            known = self.oldest.get(key)
            if known is None or since < known:
                self.oldest[key] = since
        self.archs: Counter[_Of] = Counter()
        self.templates: Counter[_Of] = Counter()
        self.groups: Counter[_Of] = Counter()
        self.nodes: Counter[_Of] = Counter()
        for (arch, template_id, group_id, node_id, state), count in Counter(alike).items():
            self.archs[architecture(arch), state] += count
            self.templates[template_id, state] += count
            self.groups[group_id or "", state] += count
            self.nodes[node_id, state] += count


def write_instances(text: Text, projection: Projection, now: datetime) -> None:
    """Every family about instances; of what has any, all states are told."""
    counts = _Counts(projection)
    text.gauge(
        "anka_instance_state_count",
        "Instances in this state.",
        (
            (f"{pairs(arch=arch)},{shown}", counts.archs[arch, state])
            for arch in ARCHITECTURES
            for state, shown in _STATES
        ),
    )
    _write_templates(text, counts, projection, now)
    meaning = "Instances in this state of the "
    name = "anka_instance_state_per_{}_count"
    text.gauge(name.format("group"), f"{meaning}group.", _by_state("group_uuid", counts.groups))
    text.gauge(name.format("node"), f"{meaning}node.", _by_state("node_uuid", counts.nodes))


def _write_templates(text: Text, counts: _Counts, projection: Projection, now: datetime) -> None:
    known = projection.templates.by_id
    templates = []
    for one, name in counts.names.items():
        newest = known[one].name if one in known else name
        rest = pairs(template_uuid=one, template_name=newest)
        templates += [((one, state), f"{shown},{rest}") for state, shown in _STATES]
    text.gauge(
        "anka_instance_state_per_template_count",
        "Instances of the template in this state.",
        ((shown, counts.templates[key]) for key, shown in templates),
    )
    text.gauge(
        "anka_instance_max_age_per_template_seconds",
        "Age of the oldest instance of the template in this state, 0 without one.",
        ((shown, _age(counts.oldest.get(key), now)) for key, shown in templates),
    )


def _by_state(label: str, counts: Counter[_Of]) -> Iterable[tuple[str, float]]:
    for one in dict.fromkeys(one for one, _ in counts if one):
        rest = pairs(**{label: one})
        for state, shown in _STATES:
            yield f"{shown},{rest}", counts[one, state]


def _age(since: datetime | None, now: datetime) -> int:
    return 0 if since is None else max(0, int((now - since).total_seconds()))
