"""A template on its way through the cloud: to the nodes ahead of time, and away from them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.port import Bus
from chassis.store.mongo import MongoStore
from tests.cloud import TEMPLATE_ID, Cloud
from tests.registries import running_registry
from tests.waiting import until

DISTRIBUTE = "registry/vm/distribute"


@pytest.fixture
async def cloud(
    cloud: Cloud, any_bus: Bus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[Cloud]:
    """The cloud with a registry as well."""
    async with running_registry(own_store, tmp_path / "registry", bus=any_bus):
        yield cloud


async def test_a_template_goes_to_every_node_and_away_again(cloud: Cloud):
    request = await _distribute(cloud)
    await until(lambda: _pulled(cloud, request, {"n1", "n2"}), 20, every=0.05)
    await until(lambda: _asked_to_remove(cloud, 2), 20, every=0.05)
    await until(lambda: _asked_to_remove(cloud, 0), 20, every=0.05)


async def test_a_canceled_distribution_ends_as_canceled(cloud: Cloud):
    request = await _distribute(cloud)
    answer = await cloud.call("DELETE", f"{DISTRIBUTE}?id={request}")
    assert answer == {"status": "OK", "message": ""}
    for node in (await _status(cloud, request)).values():
        assert node["status"] or node["error"] == "request canceled"


async def _distribute(cloud: Cloud) -> str:
    answer = await cloud.call("POST", DISTRIBUTE, {"template_id": TEMPLATE_ID})
    return answer["body"]["request_id"]


async def _status(cloud: Cloud, request: str):
    return (await cloud.call("GET", f"{DISTRIBUTE}?id={request}"))["body"]["distribute_status"]


async def _pulled(cloud: Cloud, request: str, nodes: set[str]) -> bool:
    status = await _status(cloud, request)
    return nodes == {node for node, pull in status.items() if pull["status"]}


async def _asked_to_remove(cloud: Cloud, count: int) -> bool:
    """How many nodes say that they have the template: as many are asked to drop it."""
    answer = await cloud.call("DELETE", f"registry/vm/remove?id={TEMPLATE_ID}")
    return answer["body"]["requests_sent"] == count
