"""Filters of lists: which instances, nodes and templates are asked for.

A parameter given several times means any of its values; different ones must all hold.
"""

from collections.abc import Callable, Collection, Mapping

from api_gateway.domain.fields import BadField
from api_gateway.domain.membership import groups_of
from api_gateway.domain.paging import Given
from contracts.groups import GroupDocument
from contracts.instances import InstanceSpec, InstanceState, InstanceStatus, MetadataValue
from contracts.nodes import NodeSpec, NodeState, NodeStatus

_Text = Callable[[InstanceSpec, InstanceStatus], str | None]

_INSTANCE: Mapping[str, _Text] = {
    "node_id": lambda _, status: status.node_id,
    "group_id": lambda spec, _: spec.group_id,
    "vmid": lambda spec, _: spec.template.id,
    "tag": lambda spec, _: spec.template.tag,
    "external_id": lambda spec, _: spec.external_id,
    "name": lambda spec, _: spec.name,
}


class InstanceSelection:
    """By ``state``, ``node_id``, ``group_id``, ``vmid``, ``tag``, ``external_id`` and ``name``.

    ``template`` is a template's id or name. ``metadata`` is ``key=value``: each given must hold.
    """

    def __init__(self, given: Given) -> None:
        self._states = _words(given, "state", tuple(InstanceState))
        self._texts = [
            (text, frozenset(values)) for name, text in _INSTANCE.items() if (values := given(name))
        ]
        self._templates = frozenset(given("template"))
        self._metadata = [_pair(text) for text in given("metadata")]

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self._states or self._texts or self._templates or self._metadata)

    def takes(self, state: InstanceState, spec: InstanceSpec, status: InstanceStatus) -> bool:
        """Whether an instance in this public state is asked for."""
        template = spec.template
        return (
            (not self._states or state in self._states)
            and all(text(spec, status) in wanted for text, wanted in self._texts)
            and (
                not self._templates or not self._templates.isdisjoint((template.id, template.name))
            )
            and all(_holds(spec.metadata, key, value) for key, value in self._metadata)
        )


class NodeSelection:
    """By ``state``, ``group`` (id or name), ``group_id`` and ``name``."""

    def __init__(self, given: Given) -> None:
        self._states = _words(given, "state", tuple(NodeState))
        self._groups = frozenset(given("group") + given("group_id"))
        self._names = frozenset(given("name"))

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self._states or self._groups or self._names)

    def takes(
        self,
        state: NodeState,
        name: str,
        node: tuple[NodeSpec, NodeStatus],
        groups: Mapping[str, GroupDocument],
    ) -> bool:
        """Whether a node in this public state, of this public name, is asked for."""
        return (
            (not self._states or state in self._states)
            and (not self._names or name in self._names)
            and (not self._groups or self._in_a_group(node, groups))
        )

    def _in_a_group(
        self, node: tuple[NodeSpec, NodeStatus], groups: Mapping[str, GroupDocument]
    ) -> bool:
        ids = [group_id for group_id in groups_of(*node) if group_id in groups]
        return any(not self._groups.isdisjoint((i, groups[i].name)) for i in ids)


def _words(given: Given, name: str, known: Collection[str]) -> frozenset[str]:
    values = given(name)
    if not set(values) <= set(known):
        raise BadField(name, f"one of {', '.join(known)}")
    return frozenset(values)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise BadField("metadata", "key=value")
    return key, value


def _holds(metadata: Mapping[str, MetadataValue] | None, key: str, value: str) -> bool:
    """Whether the value stands there, in the words of JSON."""
    found = (metadata or {}).get(key)
    if isinstance(found, bool):
        return value == ("true" if found else "false")
    return found is not None and str(found) == value
