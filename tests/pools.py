"""Warm pools as their users see them."""

from typing import Any

from tests.cloud import TEMPLATE_ID, Cloud
from tests.waiting import until


async def make_pool(cloud: Cloud, **wish: Any) -> str:
    """POST /pool of two VMs, unless wished otherwise; its id."""
    body = {"name": "warm", "vmid": TEMPLATE_ID, "size": 2} | wish
    answer = await cloud.call("POST", "pool", body)
    assert answer["status"] == "OK", answer
    return str(answer["body"]["id"])


async def members(cloud: Cloud, pool: str) -> dict[str, Any]:
    """GET /vm?pool=: the VMs kept that nobody has claimed, by id."""
    listed = (await cloud.call("GET", f"vm?pool={pool}"))["body"]
    return {item["instance_id"]: item["vm"] for item in listed}


async def filled(cloud: Cloud, pool: str, size: int) -> set[str]:
    """Wait until so many can be claimed, and no more are kept; their ids."""

    async def is_filled() -> bool:
        body = (await cloud.call("GET", f"pool?id={pool}"))["body"]
        return bool(body["ready"] == body["members"] == size)

    await until(is_filled, 20, every=0.05)
    kept = await members(cloud, pool)
    return {vm for vm, shown in kept.items() if shown["instance_state"] == "Started"}
