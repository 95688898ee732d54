"""What a pool does not serve, and how it follows what changes."""

import msgspec
import pytest

from tests.cloud import BEGUN, TEMPLATE_ID, a_template
from tests.pools import filled, make_pool, members
from tests.waiting import until

pytestmark = pytest.mark.parametrize("broker", ["memory"], indirect=True)


@pytest.mark.parametrize(
    "wish",
    [{"tag": "v1"}, {"vcpu": 4}, {"name_template": "mine-$ts"}, {"node_id": "n1"}],
    ids=["another-tag", "an-override", "a-name-template", "a-pinned-node"],
)
async def test_what_a_pool_cannot_serve_starts_as_ever(cloud, wish):
    pool = await make_pool(cloud, size=1)
    kept = await filled(cloud, pool, 1)
    [vm] = await cloud.start(**wish)
    assert vm not in kept
    assert set(await members(cloud, pool)) == kept
    await cloud.reaches([vm], "Started")


async def test_a_member_that_ends_is_replaced(cloud):
    pool = await make_pool(cloud, size=1)
    [first] = await filled(cloud, pool, 1)
    await cloud.call("DELETE", "vm", {"id": first})
    await until(lambda: _has_others(cloud, pool, {first}))
    [second] = await filled(cloud, pool, 1)
    assert second != first


async def _has_others(cloud, pool, former):
    return set(await members(cloud, pool)) - former


async def test_a_smaller_pool_and_a_removed_one_end_what_nobody_claimed(cloud):
    pool = await make_pool(cloud, size=3)
    kept = await filled(cloud, pool, 3)
    await cloud.call("PUT", f"pool?id={pool}", {"size": 2})
    left = await filled(cloud, pool, 2)
    assert left < kept
    [claimed] = await cloud.start()
    await cloud.call("DELETE", f"pool?id={pool}")
    await until(lambda: set(cloud.live_vms()) == {claimed}, 20)
    assert (await cloud.call("GET", "pool"))["body"] == []
    assert await cloud.state(claimed) == "Started"


async def test_a_new_latest_tag_rolls_the_pool_over(cloud):
    pool = await make_pool(cloud)
    old = await filled(cloud, pool, 2)
    template = a_template()
    newest = msgspec.structs.replace(
        template.versions[-1], number=2, tag="v3", digest=f"sha256:{2:064}", created=BEGUN
    )
    change = {
        "$set": {"versions": msgspec.to_builtins((*template.versions, newest)), "revision": 2}
    }
    await cloud.store.change("templates", type(template), {"_id": TEMPLATE_ID}, change)

    async def rolled():
        vms = await members(cloud, pool)
        fresh = [vm["tag"] for vm in vms.values() if vm["instance_state"] == "Started"]
        return not old & set(vms) and fresh == ["v3", "v3"]

    await until(rolled, 20, every=0.05)


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"size": -1}, "size: "),
        ({"time_zone": "Mars/Olympus"}, "time_zone: "),
        (
            {"schedule": [{"days": ["mon"], "from": "7", "to": "19:00", "size": 1}]},
            "schedule[0].from",
        ),
        (
            {"schedule": [{"days": ["x"], "from": "07:00", "to": "19:00", "size": 1}]},
            "schedule[0].days",
        ),
        ({"tag": "v9"}, "No such tag v9"),
        ({"group_id": "nothing"}, "Not found: group nothing"),
        ({"name": None}, "name: required"),
    ],
)
async def test_a_pool_that_could_never_be_is_refused(cloud, wish, complaint):
    body = {"name": "warm", "vmid": TEMPLATE_ID, "size": 2} | wish
    answer = await cloud.call("POST", "pool", body)
    assert answer["status"] == "FAIL"
    assert complaint in answer["message"]
