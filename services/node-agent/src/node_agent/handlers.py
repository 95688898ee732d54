"""Orders from the bus to the nodes of this process: journalled together, then begun."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog

from contracts.distributions import CancelPull, DeleteTemplate, PullTemplate
from contracts.images import PushImage
from contracts.messages import Message, Order
from contracts.nodes import ConfigureAgent, UpgradeAgent
from contracts.scripts import RunScript
from contracts.vms import RebootVm, RunVm, StopVm
from node_agent.journal import Journal
from node_agent.node import Node
from node_agent.vms import Effect

_log = structlog.get_logger()


HANDLERS: Mapping[type[Order], Callable[[Node, Any], Effect | None]] = MappingProxyType(
    {
        RunVm: lambda node, order: node.vms.run_vm(order),
        StopVm: lambda node, order: node.vms.stop_vm(order),
        RunScript: lambda node, order: node.vms.run_script(order),
        RebootVm: lambda node, order: node.vms.reboot_vm(order),
        ConfigureAgent: lambda node, order: node.configure(order),
        UpgradeAgent: lambda node, order: node.upgrades.upgrade_agent(order),
        PullTemplate: lambda node, order: node.templates.pull_template(order),
        CancelPull: lambda node, order: node.templates.cancel_pull(order),
        DeleteTemplate: lambda node, order: node.templates.delete_template(order),
        PushImage: lambda node, order: node.vms.push_image(order),
    }
)
"""What the agent does with each order; the answer is what follows once it is durable."""


class Orders:
    """Handles batches of orders for all nodes of the process with one fsync each."""

    def __init__(self, nodes: Mapping[str, Node], journal: Journal) -> None:
        self._nodes = nodes
        self._journal = journal

    async def handle(self, orders: Sequence[Message]) -> None:
        """Decide on every order, make that durable, then begin what follows."""
        effects: list[Effect] = []
        for order in orders:
            assert isinstance(order, Order)
            node = self._nodes.get(order.node_id)
            if node is None:
                _log.warning("order.for_unknown_node", node=order.node_id)
                continue
            effect = HANDLERS[type(order)](node, order)
            if effect is not None:
                effects.append(effect)
        await self._journal.sync()
        for effect in effects:
            effect()
