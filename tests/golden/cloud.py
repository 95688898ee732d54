"""The cloud that the examples are replayed at: real processes, simulated hosts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.golden.replay import Replayer
from tests.processes import Cloud, running_cloud
from tests.waiting import until

TOKEN = "golden-root-token"
ACCESS: dict[str, Any] = {
    "enable_auth": True,
    "root_token": TOKEN,
    "enable_api_keys": True,
    "enable_resource_management": True,
}
MANAGED = {
    "manage_mac_addresses": True,
    "mac_addr_range": "02:00:00:00:00:01-02:00:00:00:00:FF",
    "instance_time_out": 1.0,
    "heartbeat_seconds": 1.0,
    "sweep_seconds": 1.0,
}


@asynccontextmanager
async def golden_cloud(
    folder: Path, mongodb_url: str, rabbitmq_url: str
) -> AsyncIterator[Replayer]:
    """A replayer that knows where everything is.

    Beside the open gateway and registry there are ones that ask who calls, on the same database.
    """
    async with running_cloud(folder, mongodb_url, rabbitmq_url, "golden") as cloud:
        cloud.registry("guarded-registry", enable_registry_authorization=True, **ACCESS)
        guarded_registry = cloud.registry_url
        cloud.registry()
        cloud.gateway("gateway")
        cloud.gateway("guarded", enable_controller_authorization=True, **ACCESS)
        cloud.scheduler("scheduler", **MANAGED)
        cloud.pusher("pusher")
        usual = {"heartbeat": 1.0, "max_vm_count": 8}
        cloud.agent("node", sim_usb="phone:2,tablet", sim_vlans="12,55", **usual)
        cloud.agent("slow", sim_faults="pull:*1:hang", drain_mode=True, **usual)
        cloud.agent("spare", drain_mode=True, **usual)
        await cloud.up(limit=60)
        scratch = await cloud.push_template("scratch", "v1")
        for tag in ("v2", "v3", "v4"):
            await cloud.push_template("scratch", tag)
        template = await cloud.push_template("base")
        await until(lambda: _complete(cloud), 60, every=0.05)
        gateway, guarded = cloud.api.gateways
        names = {
            "template": template,
            "scratch": scratch,
            "node": "node",
            "slow_node": "slow",
            "spare_node": "spare",
        }
        urls = {"controller": gateway, "guarded": guarded, "registry": guarded_registry}
        yield Replayer(urls, names, TOKEN)


async def _complete(cloud: Cloud) -> bool:
    """Whether the open gateway knows the nodes and templates; the guarded one hears the same."""
    nodes = (await cloud.api.nodes()).values()
    templates = await cloud.api.ok("GET", "registry/vm")
    return len(nodes) == 3 and len(templates) == 2
