"""An event-pusher that stands still and wakes up: the order of each instance's events holds."""

import os
import signal

from tests.event_log import LIFE, kinds_by_subject, read_log, without_holes
from tests.waiting import until

QUICK = {"instance_time_out": 1.0, "heartbeat_seconds": 1.0, "sweep_seconds": 2.0}


def leaders(cloud):
    return [
        name
        for name in ("pusher1", "pusher2")
        if any(line["event"] == "lease.acquired" for line in cloud.log_of(name))
    ]


async def test_events_stay_in_order_when_a_frozen_leader_is_succeeded_and_wakes(cloud, cloud_store):
    cloud.registry()
    cloud.gateway("gateway")
    cloud.scheduler("scheduler", **QUICK)
    for name in ("pusher1", "pusher2"):
        cloud.pusher(name, lease_seconds=2.0)
    cloud.agent("n", nodes=10, heartbeat=1.0, max_vm_count=20, sim_start=0.3, sim_stop=0.1)
    await cloud.up()
    await cloud.push_template()
    await cloud.api.ready(10)
    [first] = await until(lambda: leaders(cloud))
    ids = await cloud.api.start(count=100)
    os.kill(cloud.pid(first), signal.SIGSTOP)
    await cloud.api.reaches(ids, "Started", 20)
    await until(lambda: len(leaders(cloud)) == 2, 15)
    for vm in ids:
        await cloud.api.terminate(vm)
    await cloud.api.reaches(ids, "", 20)
    os.kill(cloud.pid(first), signal.SIGCONT)

    async def complete():
        kinds = kinds_by_subject(await read_log(cloud_store))
        return all(len(kinds.get(vm, ())) >= len(LIFE) for vm in ids)

    await until(complete, 20)
    log = await read_log(cloud_store)
    assert without_holes(log)
    kinds = kinds_by_subject(log)
    assert {vm: kinds[vm] for vm in ids if kinds[vm] != list(LIFE)} == {}
