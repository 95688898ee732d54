"""What the scheduler reacts to: one table of message types, one function each.

A handler changes the world in memory; the turn around it loads, places, commits and publishes.
"""

from collections.abc import Callable
from typing import Any

from contracts.configuration import ConfigurationChanged
from contracts.groups import GroupChanged, GroupRemoved
from contracts.images import ImagePushed, SaveImage
from contracts.instances import RestartVM, StartVM, TerminateVM, UpdateVM
from contracts.macs import FillMacPool, PurgeMacPool
from contracts.messages import Message
from contracts.nodes import (
    AgentNotUpgraded,
    ConfigureNode,
    DeleteNode,
    NodeGoodbye,
    NodeHeartbeat,
    NodeHello,
)
from contracts.scripts import VmScripted
from contracts.vms import (
    ReportsMarked,
    VmFailed,
    VmGone,
    VmProgress,
    VmRefused,
    VmRestarted,
    VmStarted,
)
from scheduler.domain.limits import Moment
from scheduler.domain.world import World
from scheduler.handlers import commands, groups, heartbeats, images, macs, nodes, reports, upgrades

Handler = Callable[[World, Any, Moment], None]

COMMANDS: dict[type[Message], Handler] = {
    StartVM: commands.start_vm,
    TerminateVM: commands.wish_changed,
    RestartVM: commands.wish_changed,
    UpdateVM: commands.wish_changed,
    SaveImage: images.save_image,
    ConfigureNode: nodes.configure_node,
    DeleteNode: nodes.delete_node,
    ConfigurationChanged: nodes.configuration_changed,
    FillMacPool: macs.pool_wish_changed,
    PurgeMacPool: macs.pool_wish_changed,
    GroupChanged: groups.group_changed,
    GroupRemoved: groups.group_removed,
}
"""From the gateways."""

REPORTS: dict[type[Message], Handler] = {
    VmProgress: reports.vm_progress,
    VmStarted: reports.vm_started,
    VmFailed: reports.vm_failed,
    VmGone: reports.vm_gone,
    VmRefused: reports.vm_refused,
    VmRestarted: reports.vm_restarted,
    VmScripted: reports.vm_scripted,
    ImagePushed: images.image_pushed,
    NodeHello: heartbeats.node_hello,
    NodeHeartbeat: heartbeats.node_heartbeat,
    NodeGoodbye: nodes.node_goodbye,
    AgentNotUpgraded: upgrades.agent_not_upgraded,
    ReportsMarked: reports.reports_marked,
}
"""From the agents, and our own marks among them."""

HANDLERS = COMMANDS | REPORTS
