"""Wishes about nodes, and their farewell."""

from contracts.configuration import ConfigurationChanged, ConfigurationDocument
from contracts.events import EventKind
from contracts.nodes import ConfigureNode, DeleteNode, NodeDocument, NodeGoodbye
from scheduler.domain.limits import Moment
from scheduler.domain.node import Node
from scheduler.domain.world import World
from scheduler.handlers.upgrades import upgrade_if_wished


def configure_node(world: World, message: ConfigureNode, moment: Moment) -> None:
    """An operator changed capacity, drain, groups or names."""
    if (node := world.cluster.nodes.get(message.node_id)) is None:
        return
    spec = message.spec
    if not node.observe(message.generation, spec, moment.now):
        return
    if node.online:
        node.update(moment.now, state=node.state_now())
    node.happened(
        EventKind.CONFIG_NODE,
        moment.now,
        {"node_id": node.id},
        actor=spec.actor or "anonymous",
        request_id=spec.request_id or node.id,
    )
    world.touch_node(node, urgent=True, better=True)
    world.orders.append(world.order.configure(node, moment.now))
    upgrade_if_wished(world, node, moment)


def delete_node(world: World, message: DeleteNode, moment: Moment) -> None:
    """An operator removed the record of a node."""
    if (node := world.cluster.nodes.get(message.node_id)) is None:
        return
    node.happened(
        EventKind.DELETE_NODE,
        moment.now,
        {"node_id": node.id},
        actor=message.spec.actor or "anonymous",
        request_id=message.spec.request_id or node.id,
    )
    _remove(world, node, moment)


def node_goodbye(world: World, report: NodeGoodbye, moment: Moment) -> None:
    """An agent disjoined for good."""
    if (node := world.cluster.nodes.get(report.node_id)) is None:
        return
    node.happened(EventKind.NODE_UNREGISTERED, moment.now, {"node_id": node.id})
    _remove(world, node, moment)


def observe_document(world: World, document: NodeDocument, moment: Moment) -> None:
    """A node's wish that was found in its document."""
    node_id, generation, spec = document.id, document.generation, document.spec
    if spec.remove:
        delete_node(world, DeleteNode(node_id=node_id, generation=generation, spec=spec), moment)
    else:
        configure_node(
            world, ConfigureNode(node_id=node_id, generation=generation, spec=spec), moment
        )


def configuration_changed(world: World, fact: ConfigurationChanged, moment: Moment) -> None:
    """Operators changed what holds for all nodes."""
    obey(world, fact.configuration, moment)


def obey(world: World, configuration: ConfigurationDocument, moment: Moment) -> None:
    """Tell every node, if this is newer than what they were told."""
    if configuration.generation <= world.order.configuration.generation:
        return
    world.order.configuration = configuration
    world.orders += [
        world.order.configure(node, moment.now) for node in world.cluster.nodes.values()
    ]


def _remove(world: World, node: Node, moment: Moment) -> None:
    for instance in list(world.on_node[node.id].values()):
        if instance.lost(moment.now):
            world.touch(instance)
    world.macs.node_spoke(node.id, ())
    world.leave(node)
