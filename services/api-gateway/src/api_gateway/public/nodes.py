"""The public node."""

from collections.abc import Mapping

import msgspec

from api_gateway.domain.membership import groups_of
from api_gateway.domain.occupancy import Occupied
from api_gateway.public.groups import PublicGroup, public_group
from api_gateway.public.scalars import Moment, architecture, epoch, number
from contracts.groups import GroupDocument
from contracts.nodes import NodeFacts, NodeSpec, NodeState, NodeStatus

_DEFAULT_ARCHITECTURE = "amd64"
"""Stands in for an unknown host: the Prometheus exporter dies of any other word, even of none."""


class PublicHypervisor(msgspec.Struct, frozen=True, kw_only=True):
    """The hypervisor's version and licence."""

    product: str
    version: str
    build: str
    license: str
    expires: str


class PublicTemplateOnNode(msgspec.Struct, frozen=True, kw_only=True):
    """A tag in the node's cache."""

    uuid: str
    name: str
    tag: str


class PublicUsbDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A USB device of the host."""

    claim_name: str
    is_busy: bool


class PublicNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The node object; counts and bytes are whole numbers.

    ``update_error`` is ours: why the last wished update of the agent came to nothing.
    """

    node_id: str
    node_name: str
    cpu_count: int
    ram: int
    vm_count: int
    vcpu_count: int
    vram: int
    cpu_util: int | float
    ram_util: int | float
    ip_address: str
    state: str
    capacity: int
    anka_version: PublicHypervisor
    usb_devices: tuple[PublicUsbDevice, ...] | None
    capacity_mode: str
    vcpu_override: int
    ram_override: int
    disk_size: int
    free_disk_space: int
    anka_disk_usage: int
    host_arch: str
    templates: tuple[PublicTemplateOnNode, ...]
    last_updated: Moment
    timestamp: int
    agent_version: str
    groups: tuple[PublicGroup, ...] = ()
    update_error: str = ""


_encode = msgspec.json.Encoder().encode


def state_of(spec: NodeSpec, status: NodeStatus) -> NodeState:
    """The public state: a change of drain mode shows at once."""
    if status.state not in (NodeState.ACTIVE, NodeState.DRAIN):
        return status.state
    drain = status.facts.drain if spec.drain is None else spec.drain
    return NodeState.DRAIN if drain else NodeState.ACTIVE


def name_of(node_id: str, spec: NodeSpec, facts: NodeFacts) -> str:
    """The name that an operator gave, else the host's."""
    return _given(spec.name, facts.name) or node_id


def arch_of(facts: NodeFacts) -> str:
    """``amd64`` or ``arm64``, whatever the host is."""
    return architecture(facts.arch) or _DEFAULT_ARCHITECTURE


def capacity_of(spec: NodeSpec, facts: NodeFacts) -> int:
    """VMs that it may run."""
    return facts.capacity if spec.capacity is None else spec.capacity


def node(
    node_id: str,
    spec: NodeSpec,
    status: NodeStatus,
    groups: Mapping[str, GroupDocument],
    used: Occupied,
) -> bytes:
    """The node as the wire shows it: what operators set, else what the agent said."""
    facts, usage = status.facts, status.usage
    return _encode(
        PublicNode(
            node_id=node_id,
            node_name=name_of(node_id, spec, facts),
            cpu_count=facts.cpu_count,
            ram=facts.ram_gb,
            vm_count=used.vms,
            vcpu_count=used.vcpu,
            vram=used.vram_mb,
            cpu_util=number(usage.cpu_util),
            ram_util=number(usage.ram_util),
            ip_address=_given(spec.host, facts.address),
            state=state_of(spec, status),
            capacity=capacity_of(spec, facts),
            anka_version=_version(facts),
            usb_devices=_usb_devices(facts),
            capacity_mode=facts.capacity_mode if spec.capacity_mode is None else spec.capacity_mode,
            vcpu_override=facts.vcpu_limit if spec.vcpu_limit is None else spec.vcpu_limit,
            ram_override=facts.ram_limit_gb if spec.ram_limit_gb is None else spec.ram_limit_gb,
            disk_size=facts.disk_size,
            free_disk_space=usage.free_disk,
            anka_disk_usage=usage.used_disk,
            host_arch=arch_of(facts),
            templates=_templates(facts),
            last_updated=status.last_seen,
            timestamp=epoch(status.last_seen),
            agent_version=facts.agent_version,
            groups=tuple(
                public_group(groups[group_id])
                for group_id in groups_of(spec, status)
                if group_id in groups
            ),
            update_error=status.upgrade_error,
        )
    )


def _given(wish: str | None, fact: str) -> str:
    return fact if wish is None else wish


def _version(facts: NodeFacts) -> PublicHypervisor:
    hypervisor = facts.hypervisor
    return PublicHypervisor(
        product=hypervisor.product,
        version=hypervisor.version,
        build=hypervisor.build,
        license=hypervisor.license,
        expires=hypervisor.expires,
    )


def _templates(facts: NodeFacts) -> tuple[PublicTemplateOnNode, ...]:
    return tuple(
        PublicTemplateOnNode(uuid=cached.id, name=cached.name, tag=cached.tag)
        for cached in facts.templates
    )


def _usb_devices(facts: NodeFacts) -> tuple[PublicUsbDevice, ...] | None:
    devices = tuple(
        PublicUsbDevice(claim_name=device.claim, is_busy=device.busy)
        for device in facts.usb_devices
    )
    return devices or None
