"""Each service is killed at each named point, once; nothing is lost, doubled, orphaned or stuck.

The scenario passes every point: starts with a script, one more that is terminated.
"""

import asyncio
import base64

import pytest

from tests.chaos.oracle import assert_sound
from tests.cloud import Cloud
from tests.fates import Fate
from tests.waiting import until

SCRIPT = base64.b64encode(b"echo hello").decode()

SCHEDULER_POINTS = [
    (point, nth)
    for point in (
        "store.transact:before",
        "store.transact:after",
        "publish:before",
        "publish:after",
        "ack:before",
        "ack:after",
    )
    for nth in (1, 3)
]
AGENT_POINTS = [
    (f"driver.{verb}:{side}", 1)
    for verb in ("pull", "clone", "start", "run_script", "delete")
    for side in ("before", "after")
] + [
    (point, nth)
    for point in ("publish:before", "publish:after", "ack:before", "ack:after")
    for nth in (1, 3)
]


async def scenario(cloud: Cloud, doomed: Fate) -> set[str]:
    """Two start, others are thrown away while under way, until the doomed one is dead."""
    [first] = await cloud.start(startup_script=SCRIPT, script_monitoring=True)
    [second, unwanted] = await cloud.start(count=2)
    while True:
        await until(lambda vm=unwanted: _placed(cloud, vm), 20)
        await cloud.call("DELETE", "vm", {"id": unwanted})
        await cloud.reaches([unwanted], "", 40)
        if doomed.dead.is_set():
            return {first, second}
        [unwanted] = await cloud.start()


async def _placed(cloud: Cloud, vm: str) -> bool:
    return bool((await cloud.show(vm)).get("node_id"))


async def settled(cloud: Cloud, wanted: set[str]) -> None:
    """All wanted run, or ended in the one Error that a killed agent may cause."""
    await until(lambda: _ended(cloud, wanted), 40, every=0.05)


async def _ended(cloud: Cloud, wanted: set[str]) -> bool:
    shown = [await cloud.show(vm) for vm in wanted]
    return all(
        vm["instance_state"] == "Started" or vm.get("message") == "startup script interrupted"
        for vm in shown
    )


@pytest.mark.parametrize(("point", "nth"), SCHEDULER_POINTS)
async def test_a_killed_leader_is_succeeded_without_loss(bare_cloud, point, nth):
    cloud = bare_cloud
    doomed = await cloud.scheduler(Fate(point, nth))
    await until(cloud.leader_is_there)
    await cloud.scheduler()
    bury = asyncio.create_task(_bury(doomed))
    await cloud.gateway()
    for name in ("n1", "n2"):
        await cloud.agent(name)
    await cloud.ready(2)
    wanted = await scenario(cloud, doomed)
    await settled(cloud, wanted)
    await bury
    await assert_sound(cloud, wanted)


async def _bury(fate: Fate) -> None:
    """The broker notices the death and gives what was unacknowledged to the next."""
    await fate.dead.wait()
    await fate.kill()


@pytest.mark.parametrize(("point", "nth"), AGENT_POINTS)
async def test_a_killed_agent_takes_up_its_vms_again(bare_cloud, point, nth):
    cloud = bare_cloud
    await cloud.scheduler()
    await cloud.gateway()
    doomed = Fate(point, nth)
    agent = await _start_doomed(cloud, doomed)
    await cloud.ready(1)
    wanted = await scenario(cloud, doomed)
    await agent
    await settled(cloud, wanted)
    shown = {vm: await cloud.state(vm) for vm in wanted}
    interrupted = {vm for vm, state in shown.items() if state == "Error"}
    for vm in interrupted:
        await cloud.call("DELETE", "vm", {"id": vm})
    await cloud.reaches(sorted(interrupted), "", 20)
    await assert_sound(cloud, wanted - interrupted)


async def _start_doomed(cloud: Cloud, doomed: Fate) -> "asyncio.Task[None]":
    async def succeed() -> None:
        await doomed.dead.wait()
        await doomed.kill()
        await cloud.agent("n1", max_vm_count=3)

    successor = asyncio.create_task(succeed())
    await cloud.agent("n1", doomed, max_vm_count=3)
    return successor


@pytest.mark.parametrize(
    "point", ["store.transact:before", "store.transact:after", "publish:before", "publish:after"]
)
async def test_a_start_that_a_killed_gateway_left_unanswered_is_repeated_safely(bare_cloud, point):
    cloud = bare_cloud
    await cloud.scheduler()
    doomed = Fate(point, 1)
    await cloud.gateway(doomed)
    await cloud.gateway()
    await cloud.agent("n1")
    await until(lambda: _listed(cloud), 20)
    wish = {"vmid": "6b135004-0c89-43bb-b892-74796b8d266c", "count": 2}
    first = asyncio.create_task(cloud.call("POST", "vm", wish, Idempotency_Key="k1"))
    await asyncio.wait({asyncio.create_task(doomed.dead.wait()), first}, timeout=5)
    first.cancel()
    answer = await cloud.call("POST", "vm", wish, gateway=1, Idempotency_Key="k1")
    cloud.gateways.reverse()
    await cloud.reaches(answer["body"], "Started", 30)
    assert len(await cloud.documents()) == 2
    await assert_sound(cloud, set(answer["body"]))


async def _listed(cloud: Cloud) -> bool:
    for number in range(len(cloud.gateways)):
        nodes = (await cloud.call("GET", "node", gateway=number))["body"]
        templates = (await cloud.call("GET", "registry/vm", gateway=number))["body"]
        if not nodes or not templates:
            return False
    return True
