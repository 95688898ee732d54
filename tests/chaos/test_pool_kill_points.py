"""Pools among deaths: nothing is claimed twice or by nobody, and no pool is overfilled."""

import asyncio

import pytest

from tests.chaos.oracle import assert_sound
from tests.cloud import TEMPLATE_ID, Cloud
from tests.fates import Fate
from tests.pools import filled, make_pool
from tests.waiting import until


async def ready(cloud: Cloud) -> None:
    await cloud.gateway()
    for name in ("n1", "n2"):
        await cloud.agent(name, max_vm_count=3)
    await cloud.ready(2)


@pytest.mark.parametrize(
    "point", ["store.transact:before", "store.transact:after", "publish:before", "publish:after"]
)
async def test_a_claim_that_a_killed_gateway_left_unanswered_is_repeated_safely(bare_cloud, point):
    cloud = bare_cloud
    await cloud.scheduler()
    await ready(cloud)
    pool = await make_pool(cloud)
    kept = await filled(cloud, pool, 2)
    doomed = Fate(point)
    await cloud.gateway(doomed)
    await cloud.ready(2)
    wish = {"vmid": TEMPLATE_ID, "count": 3}
    first = asyncio.create_task(cloud.call("POST", "vm", wish, gateway=1, Idempotency_Key="k1"))
    await asyncio.wait({asyncio.create_task(doomed.dead.wait()), first}, timeout=5)
    assert doomed.dead.is_set()
    first.cancel()
    answer = await cloud.call("POST", "vm", wish, Idempotency_Key="k1")
    assert kept < set(answer["body"])
    await cloud.reaches(answer["body"], "Started")
    again = await filled(cloud, pool, 2)
    await assert_sound(cloud, {*answer["body"], *again})


@pytest.mark.parametrize(
    ("point", "nth"),
    [(f"store.transact:{side}", nth) for side in ("before", "after") for nth in (1, 2)]
    + [("publish:before", 1), ("publish:after", 1)],
)
async def test_a_scheduler_that_dies_while_filling_overfills_nothing(bare_cloud, point, nth):
    cloud = bare_cloud
    doomed = Fate(point, nth)
    first = await cloud.scheduler()
    await ready(cloud)
    await first.kill()
    pool = await make_pool(cloud, size=3)
    await cloud.scheduler(doomed)
    await doomed.dead.wait()
    await doomed.kill()
    await cloud.scheduler()
    kept = await filled(cloud, pool, 3)
    await until(lambda: set(cloud.live_vms()) == kept)
    await assert_sound(cloud, kept)
    assert len({line.instance_id for line in cloud.history()} - {""}) == 3
