"""Updates of agents and the figures of the scheduler, through real services."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from contracts.nodes import NodeState
from node_agent.agent import Agent
from node_agent.node import VERSION
from tests.cloud import Cloud, running
from tests.waiting import until


@pytest.fixture
async def cloud(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[Cloud]:
    """A gateway whose version is not that of the agents, and a scheduler."""
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        await cloud.scheduler(stats_seconds=0.2)
        await cloud.gateway(version="9.9.9-feed")
        yield cloud


async def node(cloud):
    [found] = (await cloud.call("GET", "node"))["body"]
    return found


async def test_an_agent_that_cannot_update_itself_says_so_and_goes_on(cloud):
    await cloud.agent("n1")
    await cloud.ready(1)
    assert (await cloud.call("PUT", "node/update"))["status"] == "OK"

    async def refused():
        return (await node(cloud)).get("update_error")

    assert await until(refused) == "this agent is upgraded by its package manager"
    assert (await node(cloud))["state"] == "Active"
    [vm] = await cloud.start()
    await cloud.reaches([vm], "Started")


async def test_a_node_is_updating_while_the_program_works_and_until_the_agent_is_back(
    cloud, tmp_path
):
    program = tmp_path / "upgrade"
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/wanted\n')
    program.chmod(0o700)
    fate = await cloud.agent("n1", upgrade_program=str(program))
    await cloud.ready(1)
    await cloud.call("PUT", "node/update")

    async def updating():
        return (await node(cloud))["state"] == NodeState.UPDATING

    await until(updating)
    wanted = tmp_path / "wanted"
    await until(wanted.exists)
    assert wanted.read_text() == "9.9.9-feed\n"
    await fate.kill()
    await cloud.agent("n1")
    await cloud.ready(1)
    shown = await node(cloud)
    assert shown["agent_version"] == VERSION
    assert "update_error" not in shown


async def test_the_leader_writes_how_busy_it_is(cloud):
    await cloud.agent("n1")
    await cloud.ready(1)
    ids = await cloud.start(count=3)

    async def busy():
        stats = (await cloud.call("GET", "stats")).get("body") or {}
        return stats if stats.get("starts_per_second") and stats.get("longest_wait") else None

    stats = await until(busy)
    assert stats["waiting"] == 1
    assert 0 < stats["average_queue_time"] <= stats["longest_wait"]
    assert stats["tasks_per_second"] > 0
    assert sum(stats["instances"].values()) == len(ids)
    assert stats["nodes"] == {"Active": 1}


async def test_settings_of_the_cloud_reach_nodes_and_starts(cloud):
    await cloud.agent("n1")
    await cloud.ready(1)
    address = "http://registry.example:8089"
    wish = {"registry_address": address, "central_logging": False}
    assert (await cloud.call("PUT", "config", wish))["status"] == "OK"
    await until(lambda: _node_of(cloud, "n1").registry == address)
    [vm] = await cloud.start()
    await cloud.reaches([vm], "Started")
    assert (await cloud.show(vm))["anka_registry"] == address


def _node_of(cloud, node_id):
    agents = [part for service, _ in cloud._running for part in service._parts]
    [agent] = [part for part in agents if isinstance(part, Agent) and node_id in part.nodes]
    return agent.nodes[node_id]
