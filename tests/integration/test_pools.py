"""Warm pools over HTTP, on both buses: filled, claimed, filled again."""

import asyncio
import base64
import functools
from datetime import datetime

from tests.cloud import TEMPLATE_ID
from tests.pools import filled, make_pool, members
from tests.waiting import until


async def test_a_pool_is_kept_ready_and_out_of_sight(cloud):
    pool = await make_pool(cloud)
    kept = await filled(cloud, pool, 2)
    assert {vm["pool"] for vm in (await members(cloud, pool)).values()} == {pool}
    assert (await cloud.call("GET", "vm"))["body"] == []
    assert set(cloud.live_vms()) == kept
    assert [e for e in await cloud.events() if e.event.subject in kept] == []


async def test_a_claimed_vm_is_like_any_other_and_the_pool_fills_again(cloud):
    pool = await make_pool(cloud, size=1)
    [kept] = await filled(cloud, pool, 1)
    wish = {"name": "mine", "external_id": "job-7", "metadata": {"team": "ios"}, "priority": 5}
    [vm] = await cloud.start(**wish)
    assert vm == kept
    shown = await cloud.show(vm)
    assert shown["instance_state"] == "Started"
    assert {name: shown[name] for name in ("name", "external_id", "metadata")} == {
        name: wish[name] for name in ("name", "external_id", "metadata")
    }
    assert "pool" not in shown
    created = datetime.fromisoformat(shown["vminfo"]["creation_date"])
    assert datetime.fromisoformat(shown["cr_time"]) > created
    assert [item["instance_id"] for item in (await cloud.call("GET", "vm"))["body"]] == [vm]

    async def told():
        return [e.event.kind for e in await cloud.events() if e.event.subject == vm]

    await until(lambda: _is(told, ["StartVM", "VMStarted"]))
    [other] = await filled(cloud, pool, 1)
    assert other != vm
    await cloud.call("DELETE", "vm", {"id": vm})
    await cloud.reaches([vm], "")
    assert set(cloud.live_vms()) == {other}


async def test_a_claim_runs_the_script_of_its_request(cloud):
    pool = await make_pool(cloud)
    kept = await filled(cloud, pool, 2)
    good = base64.b64encode(b"sleep 0.3\necho done").decode()
    bad = base64.b64encode(b"exit 7").decode()
    [vm] = await cloud.start(startup_script=good, script_monitoring=True)
    shown = await cloud.show(vm)
    assert (shown["instance_state"], shown.get("vminfo")) == ("Scheduling", None)
    [failing] = await cloud.start(startup_script=bad, script_monitoring=True, script_fail_handler=1)
    assert {vm, failing} == kept
    await cloud.reaches([vm], "Started")
    shown = await cloud.show(vm)
    assert (shown["startup_script"]["stdout"], shown["vminfo"]["status"]) == ("done\n", "running")
    await cloud.reaches([failing], "Error")
    shown = await cloud.show(failing)
    assert shown["message"] == "startup script exit code 7"
    assert shown["startup_script"]["return_code"] == 7

    async def told(instance):
        return [e.event.kind for e in await cloud.events() if e.event.subject == instance]

    await until(lambda: _is(functools.partial(told, vm), ["StartVM", "VMStarted"]))
    await until(lambda: _is(functools.partial(told, failing), ["StartVM", "VMFailedToStart"]))
    scripts = [line.instance_id for line in cloud.history() if line.verb == "script"]
    assert sorted(scripts) == sorted([vm, failing])


async def _is(question, answer):
    return await question() == answer


async def test_what_the_pool_lacks_is_started(cloud):
    pool = await make_pool(cloud, size=2)
    kept = await filled(cloud, pool, 2)
    ids = await cloud.start(count=3)
    assert len(set(ids)) == 3
    assert kept < set(ids)
    await cloud.reaches(ids, "Started")


async def test_a_repeat_of_a_claim_gets_the_same_vms(cloud):
    pool = await make_pool(cloud)
    kept = await filled(cloud, pool, 2)
    body = {"vmid": TEMPLATE_ID, "count": 2}
    calls = (cloud.call("POST", "vm", body, Idempotency_Key="job-81") for _ in range(5))
    answers = await asyncio.gather(*calls)
    assert {tuple(sorted(answer["body"])) for answer in answers} == {tuple(sorted(kept))}


async def test_gateways_that_want_the_same_vm_get_different_ones(cloud):
    await cloud.gateway()
    await cloud.ready(2)
    pool = await make_pool(cloud, size=1)
    [kept] = await filled(cloud, pool, 1)
    await until(lambda: _knows_pools(cloud, 1))
    body = {"vmid": TEMPLATE_ID}
    answers = await asyncio.gather(*(cloud.call("POST", "vm", body, gateway=n) for n in (0, 1)))
    ids = [answer["body"][0] for answer in answers]
    assert ids.count(kept) == 1
    await cloud.reaches(ids, "Started")


async def _knows_pools(cloud, gateway):
    return bool((await cloud.call("GET", "pool", gateway=gateway))["body"])
