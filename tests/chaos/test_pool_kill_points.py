"""Pools among deaths: nothing is claimed twice or by nobody, and no pool is overfilled."""

import asyncio
import base64

import pytest

from tests.chaos.oracle import assert_sound
from tests.cloud import TEMPLATE_ID, Cloud
from tests.fates import Fate
from tests.pools import filled, make_pool
from tests.waiting import until

SCRIPT = {
    "startup_script": base64.b64encode(b"echo hello").decode(),
    "script_monitoring": True,
}


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


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("store.transact:before", 1),
        ("store.transact:after", 1),
        ("publish:before", 2),
        ("publish:after", 2),
        ("ack:before", 1),
        ("ack:after", 1),
    ],
)
async def test_a_scheduler_that_dies_of_a_claim_has_its_script_run_once(bare_cloud, point, nth):
    cloud = bare_cloud
    first = await cloud.scheduler()
    await ready(cloud)
    pool = await make_pool(cloud, size=3)
    kept = await filled(cloud, pool, 3)
    await first.kill()
    doomed = await cloud.scheduler(Fate(point, nth))
    claimed = await cloud.start(count=3, **SCRIPT)
    assert set(claimed) == kept
    await asyncio.wait_for(doomed.dead.wait(), 20)
    await doomed.kill()
    await cloud.scheduler()
    await cloud.reaches(claimed, "Started", 30)
    again = await filled(cloud, pool, 3)
    assert _scripts(cloud) == sorted(claimed)
    await assert_sound(cloud, {*claimed, *again})


@pytest.mark.parametrize("point", ["driver.run_script:before", "driver.run_script:after"])
async def test_an_agent_that_dies_of_a_script_begins_it_no_more(bare_cloud, point):
    cloud = bare_cloud
    await cloud.scheduler()
    await cloud.gateway()
    doomed = Fate(point)
    await cloud.agent("n1", doomed, max_vm_count=3)
    await cloud.ready(1)
    pool = await make_pool(cloud, size=1)
    [kept] = await filled(cloud, pool, 1)
    [claimed] = await cloud.start(**SCRIPT, script_fail_handler=2)
    assert claimed == kept
    await asyncio.wait_for(doomed.dead.wait(), 20)
    await doomed.kill()
    await cloud.agent("n1", max_vm_count=3)
    await cloud.reaches([claimed], "Error", 30)
    assert (await cloud.show(claimed))["message"] == "startup script interrupted"
    assert _scripts(cloud) == [claimed] * point.endswith("after")
    await cloud.call("DELETE", "vm", {"id": claimed})
    await cloud.reaches([claimed], "", 20)
    await assert_sound(cloud, await filled(cloud, pool, 1))


def _scripts(cloud: Cloud) -> list[str]:
    """The VMs in which a script was begun, as often as that was."""
    return sorted(line.instance_id for line in cloud.history() if line.verb == "script")
