"""Grants that the gateway stores reach placement, whoever leads."""

from pathlib import Path

import aiohttp

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from contracts.instances import InstanceDocument
from tests.cloud import TEMPLATE_ID, Cloud, running
from tests.integration.gateway.guarded import ALL_ON
from tests.tap import ROOT
from tests.waiting import until


async def _grant(cloud: Cloud, *nodes: str) -> None:
    url = f"{cloud.gateways[0].address}/admin/api/v1/permission/group/devops/resources"
    wish = [{"id": node, "type": "node", "permissions": ["create_instance"]} for node in nodes]
    async with aiohttp.request("POST", url, json=wish, headers=ROOT) as answer:
        assert (await answer.json())["message"] == "Saved"


async def _start(cloud: Cloud) -> str:
    wish = {"vmid": TEMPLATE_ID, "group": "devops"}
    (identity,) = (await cloud.call("POST", "vm", wish, **ROOT))["body"]
    return str(identity)


async def _node_of(cloud: Cloud, identity: str) -> str:
    document = await cloud.store.get("instances", InstanceDocument, identity)
    assert document is not None
    return document.status.node_id


async def _reasons(cloud: Cloud, identity: str, filters: set[str]) -> bool:
    document = await cloud.store.get("instances", InstanceDocument, identity)
    assert document is not None
    return {reason.filter for reason in document.status.reasons} == filters


async def test_a_start_follows_the_grants_of_its_group_and_waits_without(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
):
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        await cloud.gateway(**ALL_ON)
        await _grant(cloud, "n2")
        await cloud.scheduler()
        for name in ("n1", "n2"):
            await cloud.agent(name, max_vm_count=2)
        ids = [await _start(cloud) for _ in range(3)]
        for identity in ids[:2]:
            await until(lambda each=identity: _node_of(cloud, each))
        assert [await _node_of(cloud, each) for each in ids] == ["n2", "n2", ""]
        await until(lambda: _reasons(cloud, ids[2], {"permission", "capacity"}))
        await _grant(cloud, "n1", "n2")
        assert await until(lambda: _node_of(cloud, ids[2])) == "n1"
