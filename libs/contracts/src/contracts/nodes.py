"""Nodes: what agents say of their hosts, what operators wish of them."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from contracts.documents import Pending
from contracts.messages import Command, Fact, Order, Report
from contracts.vms import UnknownVm, VmState


class NodeState(StrEnum):
    """The documented states of a node."""

    OFFLINE = "Offline"
    INVALID_LICENSE = "Inactive (Invalid License)"
    ACTIVE = "Active"
    UPDATING = "Updating"
    UNHEALTHY = "Unhealthy"
    DRAIN = "Drain Mode"


class CapacityMode(StrEnum):
    """How a node counts what it can take: VMs, or virtual CPUs and memory."""

    NUMBER = "number"
    RESOURCE = "resource"


class HypervisorVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The public ``anka_version`` object: product, version and licence of the hypervisor."""

    product: str = ""
    version: str = ""
    build: str = ""
    license: str = ""
    expires: str = ""


class CachedTemplate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A template tag on a node. ``layers``: digests of its blobs there."""

    id: str
    name: str
    tag: str
    digest: str = ""
    layers: tuple[str, ...] = ()


class UsbDevice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A USB device on the host; ``claim`` is its public name, which several may share.

    ``instance_id``: whose VM makes it busy, as far as the driver knows.
    """

    claim: str
    busy: bool = False
    instance_id: str = ""


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the agent says of its host; sent in full only when it changed.

    ``ram_gb`` in GiB, sizes in bytes, ``address`` reachable by CI servers. Join flags are here:
    ``capacity``, ``capacity_mode``, ``vcpu_limit``, ``ram_limit_gb``, ``drain``, ``groups``
    (names; applied when the node's document is created). ``capabilities`` are the driver's.
    ``count_overrides``: resource mode counts the request's vcpu and vram, not the template's.
    ``peer_address``: the URL under which other agents may fetch its blobs, if they may.
    """

    name: str
    address: str
    arch: str
    driver: str = ""
    queue: str = ""
    cpu_count: int = 0
    ram_gb: int = 0
    disk_size: int = 0
    capacity: int = 2
    capacity_mode: CapacityMode = CapacityMode.NUMBER
    vcpu_limit: int = 0
    ram_limit_gb: int = 0
    count_overrides: bool = False
    drain: bool = False
    groups: tuple[str, ...] = ()
    license_valid: bool = True
    agent_version: str = ""
    hypervisor: HypervisorVersion = HypervisorVersion()
    capabilities: tuple[str, ...] = ()
    templates: tuple[CachedTemplate, ...] = ()
    usb_devices: tuple[UsbDevice, ...] = ()
    vlans: tuple[str, ...] = ()
    reserve: int = 0
    peer_address: str = ""

    def free_usb(self, held: Mapping[str, str]) -> Counter[str]:
        """Claim to devices that nobody has; below zero when more is held than there is.

        ``held``: instance id to claim, of instances placed here. Those whose VM has its device
        already are told from those on their way to it, so none counts twice.
        """
        free = Counter(device.claim for device in self.usb_devices if not device.busy)
        attached = {(device.instance_id, device.claim) for device in self.usb_devices}
        free.subtract(claim for one, claim in held.items() if (one, claim) not in attached)
        return free


class NodeUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What moves all the time: shares 0..1, bytes."""

    cpu_util: float = 0.0
    ram_util: float = 0.0
    free_disk: int = 0
    used_disk: int = 0


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What operators set through the API; unset means: as the agent was joined.

    ``upgrades`` counts the wished upgrades of the agent, the last one to ``upgrade_to``.
    """

    name: str | None = None
    host: str | None = None
    capacity: int | None = None
    capacity_mode: CapacityMode | None = None
    vcpu_limit: int | None = None
    ram_limit_gb: int | None = None
    drain: bool | None = None
    disable_central_logging: bool | None = None
    groups: tuple[str, ...] | None = None
    remove: bool = False
    upgrades: int = 0
    upgrade_to: str = ""
    actor: str = ""
    request_id: str = ""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the scheduler knows of a node. ``groups`` are ids.

    ``left``: it is gone for everybody; the record stays only until its last event is said.
    ``upgrades``: the last wished upgrade that was dealt with. ``upgrading_until``: its agent was
    told and has so long. ``upgrade_error``: why the last one came to nothing.
    """

    state: NodeState = NodeState.ACTIVE
    observed_generation: int = 0
    facts: NodeFacts
    usage: NodeUsage = NodeUsage()
    groups: tuple[str, ...] = ()
    unmanaged: tuple[UnknownVm, ...] = ()
    left: bool = False
    upgrades: int = 0
    upgrading_until: datetime | None = None
    upgrade_error: str = ""
    joined: datetime
    changed: datetime
    last_seen: datetime


class NodeDocument(Pending, frozen=True, kw_only=True, omit_defaults=True):
    """A node as stored in ``nodes``."""

    spec: NodeSpec
    status: NodeStatus


class ConfigureNode(Command, frozen=True, kw_only=True, tag="node.configure.v1"):
    """The node's spec changed with this generation."""

    node_id: str
    generation: int
    spec: NodeSpec


class DeleteNode(Command, frozen=True, kw_only=True, tag="node.delete.v1"):
    """``spec.remove`` was set with this generation."""

    node_id: str
    generation: int
    spec: NodeSpec


class NodeHello(Report, frozen=True, kw_only=True, tag="node.hello.v1"):
    """An agent started or reconnected; everything it knows, in full."""

    facts: NodeFacts
    usage: NodeUsage
    vms: tuple[VmState, ...] = ()
    unknown: tuple[UnknownVm, ...] = ()


class NodeHeartbeat(Report, frozen=True, kw_only=True, tag="node.heartbeat.v1"):
    """The agent is there. ``facts`` only when they changed; ``vms`` lists every known attempt.

    ``queue``: where its orders go, for a scheduler that does not know the node.
    """

    queue: str = ""
    facts: NodeFacts | None = None
    usage: NodeUsage
    vms: tuple[VmState, ...] = ()
    unknown: tuple[UnknownVm, ...] = ()


class NodeGoodbye(Report, frozen=True, kw_only=True, tag="node.goodbye.v1"):
    """The agent disjoined for good."""


class ConfigureAgent(Order, frozen=True, kw_only=True, tag="agent.configure.v1"):
    """How the agent shall behave; ``heartbeat`` in seconds. ``version`` grows.

    ``rejoin``: the cloud does not know the node; say NodeHello.
    ``registry``: the address that operators gave all nodes; "" for the agent's own setting.
    """

    version: int = 0
    heartbeat: float = 5.0
    rejoin: bool = False
    central_logging: bool = True
    registry: str = ""


class UpgradeAgent(Order, frozen=True, kw_only=True, tag="agent.upgrade.v1"):
    """Install the controller's agent package and restart."""

    version: str


class AgentNotUpgraded(Report, frozen=True, kw_only=True, tag="agent.not-upgraded.v1"):
    """UpgradeAgent came to nothing; one that succeeds ends with NodeHello."""

    version: str
    error: str


class NodeChanged(Fact, frozen=True, kw_only=True, tag="node.changed.v1"):
    """The scheduler knows something new of a node; at most once a second and node."""

    node_id: str
    generation: int
    status_revision: int
    created: datetime
    spec: NodeSpec
    status: NodeStatus


class NodeRemoved(Fact, frozen=True, kw_only=True, tag="node.removed.v1"):
    """The node's record is gone."""

    node_id: str
