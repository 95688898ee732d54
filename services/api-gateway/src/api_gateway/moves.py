"""What each kind of message moves in the projection."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from api_gateway.projection import Projection
from chassis.bus.port import Queue, QueueKind
from contracts.groups import GroupChanged, GroupRemoved
from contracts.instances import (
    InstanceChanged,
    InstanceDocument,
    InstanceRemoved,
    RestartVM,
    StartVM,
    TerminateVM,
    UpdateVM,
)
from contracts.messages import Message, tag_of
from contracts.nodes import (
    ConfigureNode,
    DeleteNode,
    NodeChanged,
    NodeDocument,
    NodeRemoved,
)
from contracts.pools import PoolChanged, PoolRemoved
from contracts.templates import TemplateChanged, TemplateRemoved

HEARD: tuple[type[Message], ...] = (
    StartVM,
    TerminateVM,
    RestartVM,
    UpdateVM,
    InstanceChanged,
    InstanceRemoved,
    ConfigureNode,
    DeleteNode,
    NodeChanged,
    NodeRemoved,
    GroupChanged,
    GroupRemoved,
    PoolChanged,
    PoolRemoved,
    TemplateChanged,
    TemplateRemoved,
)


def projection_queue() -> Queue:
    """A queue of this process' own, gone with it."""
    return Queue(
        name=f"gateway.projection.{uuid.uuid4()}",
        keys=tuple(tag_of(kind) for kind in HEARD),
        kind=QueueKind.PROJECTION,
        prefetch=1024,
    )


class Moves:
    """Merges messages, and documents from the database, into a projection.

    ``groups_moved`` is called when groups changed: their next reading is the truth.
    """

    def __init__(self, projection: Projection, groups_moved: Callable[[], None]) -> None:
        self._projection = projection
        self._groups_moved = groups_moved
        self._kinds = self._table()

    def apply(self, messages: Sequence[Message]) -> tuple[set[str], set[str]]:
        """Move by messages; instances and nodes that were heard of only in part."""
        instances: set[str] = set()
        nodes: set[str] = set()
        for message in messages:
            missed = self._kinds[type(message)](message)
            if missed is not None:
                is_node = isinstance(message, ConfigureNode | DeleteNode)
                (nodes if is_node else instances).add(missed)
        return instances, nodes

    def take_instances(self, documents: Iterable[InstanceDocument]) -> None:
        """Merge documents from the database."""
        for document in documents:
            self._projection.instances.merge(
                document.id,
                document.created,
                (document.generation, document.spec.without_script()),
                (document.status_revision, document.status),
            )

    def take_nodes(self, documents: Iterable[NodeDocument]) -> None:
        """Merge documents from the database; a node that left is there for its last event only."""
        for document in documents:
            if document.status.left:
                continue
            self._projection.nodes.merge(
                document.id,
                document.created,
                (document.generation, document.spec),
                (document.status_revision, document.status),
            )

    def _table(self) -> Mapping[type[Message], Callable[[Any], str | None]]:
        """What each kind of message moves; the answer names a document known only in part."""
        view = self._projection
        return {
            StartVM: lambda m: self.take_instances([m.instance]),
            TerminateVM: self._instance_wish,
            RestartVM: self._instance_wish,
            UpdateVM: self._instance_wish,
            InstanceChanged: self._instance_changed,
            InstanceRemoved: lambda m: view.instances.remove(m.instance_id),
            ConfigureNode: self._node_wish,
            DeleteNode: self._node_wish,
            NodeChanged: self._node_changed,
            NodeRemoved: lambda m: view.nodes.remove(m.node_id),
            GroupChanged: self._groups_changed,
            GroupRemoved: self._groups_changed,
            PoolChanged: lambda m: view.pools.merge(m.pool),
            PoolRemoved: lambda m: view.pools.remove(m.pool_id),
            TemplateChanged: lambda m: view.templates.merge(m.template),
            TemplateRemoved: lambda m: view.templates.remove(m.template_id, m.revision),
        }

    def _instance_wish(self, message: TerminateVM | RestartVM | UpdateVM) -> str | None:
        spec = message.spec.without_script()
        known = self._projection.instances.merge_spec(message.instance_id, message.generation, spec)
        return None if known else message.instance_id

    def _node_wish(self, message: ConfigureNode | DeleteNode) -> str | None:
        known = self._projection.nodes.merge_spec(message.node_id, message.generation, message.spec)
        return None if known else message.node_id

    def _instance_changed(self, message: InstanceChanged) -> None:
        self._projection.instances.merge(
            message.instance_id,
            message.created,
            (message.generation, message.spec.without_script()),
            (message.status_revision, message.status),
        )

    def _node_changed(self, message: NodeChanged) -> None:
        self._projection.nodes.merge(
            message.node_id,
            message.created,
            (message.generation, message.spec),
            (message.status_revision, message.status),
        )

    def _groups_changed(self, _message: GroupChanged | GroupRemoved) -> None:
        self._groups_moved()
