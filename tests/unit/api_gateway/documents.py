"""Builders with defaults: a test names only what matters to it."""

from datetime import UTC, datetime
from typing import Any

from contracts.instances import InstanceSpec, InstanceStatus
from contracts.nodes import NodeFacts, NodeSpec, NodeStatus
from contracts.templates import TemplateRef
from contracts.vms import VmInfo

EPOCH = datetime(2031, 5, 4, 10, tzinfo=UTC)


def instance_spec(**given: Any) -> InstanceSpec:
    arch = given.pop("arch", "arm64")
    template = TemplateRef(
        id="tpl", name="base", tag="v7", version=0, arch=arch, repository="tpl", digest="d"
    )
    return InstanceSpec(template=template, **given)


def instance_status(**given: Any) -> InstanceStatus:
    return InstanceStatus(**({"changed": EPOCH} | given))


def vm_info(**given: Any) -> VmInfo:
    return VmInfo(**({"uuid": "vm", "name": "mgmtManaged-x", "status": "running"} | given))


def node_status(**given: Any) -> NodeStatus:
    facts = {"name": "mini-01", "address": "10.0.0.21", "arch": "arm64"} | given.pop("facts", {})
    moments = {"joined": EPOCH, "changed": EPOCH, "last_seen": EPOCH}
    return NodeStatus(**({"facts": NodeFacts(**facts)} | moments | given))


def node_spec(**given: Any) -> NodeSpec:
    return NodeSpec(**given)
