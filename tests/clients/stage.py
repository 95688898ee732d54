"""The gateways that the checklist asks, and how a test brings an instance into a state."""

from typing import Any

import msgspec

from contracts.instances import InstanceState
from contracts.nodes import NodeState
from contracts.vms import PortForward, ScriptResult
from tests.integration.gateway.cloud import (
    CAPABILITIES,
    NODE,
    SUSPENDED,
    Api,
    Cloud,
    node,
    node_changed,
    running,
)
from tests.integration.gateway.registry import FakeRegistry
from tests.waiting import until

LOST = "node-never-seen"
ODD = "node-of-an-odd-kind"
ODD_TEMPLATE = "template-of-an-odd-kind"
SSH = PortForward(name="ssh", guest_port=22, host_port=10022)
VNC = PortForward(name="vnc", guest_port=5900, host_port=10059)

SETTLED: dict[InstanceState, dict[str, Any]] = {
    InstanceState.SCHEDULING: {},
    InstanceState.PULLING: {"node_id": NODE, "progress": 0.42},
    InstanceState.STARTED: {"node_id": NODE, "progress": 1.0},
    InstanceState.STOPPING: {"node_id": NODE, "progress": 1.0},
    InstanceState.STOPPED: {"node_id": NODE, "message": 'Unexpected VM state: "stopped"'},
    InstanceState.TERMINATING: {"node_id": NODE},
    InstanceState.TERMINATED: {"node_id": NODE},
    InstanceState.ERROR: {
        "node_id": NODE,
        "message": "startup script exit code 127",
        "script_result": ScriptResult(return_code=127, stderr="sh: go: command not found\n"),
    },
    InstanceState.PUSHING: {"node_id": NODE, "progress": 1.0},
}
"""What the scheduler writes with each state."""

_WITH_VM = frozenset(InstanceState) - {InstanceState.SCHEDULING, InstanceState.PULLING}
MONITORED = {"startup_script": "Z28=", "script_monitoring": True}


class Stage:
    """``api`` asks nobody who they are, ``replica`` is another such gateway.

    ``guarded`` knows keys, ``limited`` permission groups as well. The scheduler is played.
    """

    def __init__(self, cloud: Cloud, registry: FakeRegistry) -> None:
        self.cloud = cloud
        self.registry = registry
        self.api: Api
        self.replica: Api
        self.guarded: Api
        self.limited: Api

    async def set(self) -> None:
        """Three templates; a usual node, one that was never heard of, one of an odd kind."""
        await self.cloud.add_template()
        await self.cloud.add_template(SUSPENDED, ("base", "with a space + plus"), suspended=True)
        await self.cloud.add_template(ODD_TEMPLATE, arch="riscv64")
        await self.cloud.add_node(capabilities=(*CAPABILITIES, "vlan_tag", "usb_device"))
        await self.cloud.add_node(ODD, name="", arch="riscv64", capacity=0)
        silent = node(LOST, arch="", name="", hypervisor={})
        status = msgspec.structs.replace(silent.status, state=NodeState.OFFLINE)
        silent = msgspec.structs.replace(silent, status=status)
        await self.cloud.store.insert("nodes", [silent])
        await self.cloud.publish(node_changed(silent))

    async def in_state(
        self, state: InstanceState, *, ip: str = "192.168.64.7", **wish: Any
    ) -> dict[str, Any]:
        """A new instance as it is listed once it has reached the state."""
        (identity,) = await self.api.start(**wish)
        changes = dict(SETTLED[state])
        if state in _WITH_VM:
            changes["vminfo"] = running(ip=ip, port_forwarding=(SSH, VNC))
        if state is not InstanceState.SCHEDULING:
            await self.cloud.move(identity, state=state, **changes)
        return await self.reaches(identity, state)

    async def reaches(self, identity: str, state: str) -> dict[str, Any]:
        """The element of the list, once it shows this state."""
        return await until(lambda: self._shown(identity, state))

    async def _shown(self, identity: str, state: str) -> dict[str, Any] | None:
        item = (await self.api.listed()).get(identity)
        return item if item and item["vm"]["instance_state"] == state else None
