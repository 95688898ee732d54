"""The quota of a node group over HTTP: set, felt, shown, lifted."""

import pytest

from tests.waiting import until

pytestmark = pytest.mark.parametrize("broker", ["memory"], indirect=True)


async def test_what_exceeds_a_quota_waits_until_there_is_room_in_it(cloud):
    made = await cloud.call("POST", "group", {"name": "ios", "quota": {"instances": 1}})
    group = made["body"]["id"]
    assert made["body"]["quota"] == {"instances": 1}
    wish = {"group_ids": [group], "node_ids": ["n1", "n2"]}
    await cloud.call("POST", "node/group", wish)
    await until(lambda: _both_joined(cloud, group))
    ids = await cloud.start(count=3, group_id=group)

    async def waiting():
        shown = {vm: await cloud.show(vm) for vm in ids}
        held = {
            vm
            for vm, each in shown.items()
            if [reason["filter"] for reason in each.get("reasons", ())] == ["quota"]
        }
        started = [vm for vm in ids if shown[vm]["instance_state"] == "Started"]
        return held if len(started) == len(ids) - len(held) else None

    assert len(await until(waiting)) == 2
    [running] = set(ids) - await until(waiting)
    await cloud.call("DELETE", "vm", {"id": running})
    await cloud.reaches([running], "")
    ids.remove(running)
    assert len(await until(waiting)) == 1
    await cloud.call("PUT", f"group?id={group}", {"quota": {}})
    await cloud.reaches(ids, "Started")
    [shown] = (await cloud.call("GET", "group"))["body"]
    assert "quota" not in shown


async def _both_joined(cloud, group):
    nodes = (await cloud.call("GET", "node"))["body"]
    return all(group in {each["id"] for each in node.get("groups", ())} for node in nodes)


async def test_a_quota_that_is_no_number_is_named(cloud):
    answer = await cloud.call("POST", "group", {"name": "x", "quota": {"vcpus": "many"}})
    assert answer["message"].startswith("quota.vcpus: ")
