"""What people do with a cloud of twenty simulated nodes, all services being processes.

Two gateways: 0 and 1. Every node takes two VMs.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from tests.e2e.conftest import Clouds
from tests.processes import Cloud
from tests.waiting import until

NODES = 20
CAPACITY = 2 * NODES
ENDING = {"Terminating", "Terminated", None}
BRISK = {
    "lease_seconds": 3.0,
    "instance_time_out": 1.0,
    "heartbeat_seconds": 1.0,
    "sweep_seconds": 2.0,
}


@pytest.fixture(scope="module")
async def fleet(clouds: Clouds, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    """Twenty nodes in one agent, everything else twice where that is allowed."""
    async with clouds(tmp_path_factory.mktemp("fleet")) as cloud:
        cloud.registry()
        for name in ("gateway1", "gateway2"):
            cloud.gateway(name)
        for name in ("scheduler1", "scheduler2"):
            cloud.scheduler(name, **BRISK)
        cloud.pusher("pusher", lease_seconds=3.0)
        cloud.agent("n", nodes=NODES, heartbeat=1.0, sim_start=0.05, sim_network=0.05)
        await cloud.up()
        await cloud.push_template()
        await cloud.api.ready(NODES)
        yield cloud


@pytest.fixture(autouse=True)
async def tidy(fleet: Cloud) -> AsyncIterator[None]:
    """Every test begins with an empty cloud."""
    yield
    for identity in await fleet.api.states():
        await fleet.api.call("DELETE", "vm", {"id": identity})

    async def empty():
        return await fleet.api.states(0) == await fleet.api.states(1) == {}

    await until(empty, 20)


async def nodes_of(cloud, ids):
    return [(await cloud.api.show(vm))["node_id"] for vm in ids]


async def test_as_many_as_fit_start_and_the_rest_waits_with_its_reason(fleet):
    ids = await fleet.api.start(count=50, external_id="job")
    assert len(set(ids)) == 50

    async def all_that_fit():
        return Counter((await fleet.api.states(1)).values())["Started"] == CAPACITY

    await until(all_that_fit, 20)
    states = await fleet.api.states()
    waiting = [vm for vm in ids if states[vm] == "Scheduling"]
    assert len(waiting) == 50 - CAPACITY
    shown = await fleet.api.show(waiting[0])
    assert [reason["filter"] for reason in shown["reasons"]] == ["capacity"]
    started = [vm for vm in ids if states[vm] == "Started"]
    assert set(Counter(await nodes_of(fleet, started)).values()) == {2}
    for vm in started[: len(waiting)]:
        await fleet.api.terminate(vm, gateway=1)
    await fleet.api.reaches(waiting, "Started")


async def test_lists_wrap_what_single_answers_show_flat(fleet):
    [vm] = await fleet.api.start(name="build", external_id="42", metadata={"team": "ios"})
    await fleet.api.reaches([vm], "Started")
    for gateway in (0, 1):
        await fleet.api.reaches([vm], "Started", gateway=gateway)
        [wrapper] = await fleet.api.ok("GET", "vm", gateway=gateway)
        flat = await fleet.api.show(vm, gateway)
        assert wrapper == {"instance_id": vm, "external_id": "42", "name": "build", "vm": flat}
        info = flat["vminfo"]
        assert info["status"] == "running"
        assert info["node_id"] == flat["node_id"]
        assert info["host_ip"] == "127.0.0.1"
        assert info["ip"]
        [rule] = info["port_forwarding"]
        assert (rule["name"], rule["guest_port"]) == ("ssh", 22)
        assert datetime.fromisoformat(info["start_date"]) > datetime.fromisoformat(flat["cr_time"])
        nodes = await fleet.api.nodes(gateway)
        assert len(nodes) == NODES
        assert {node["state"] for node in nodes.values()} == {"Active"}
        assert {node["host_arch"] for node in nodes.values()} == {"amd64"}


async def test_what_one_gateway_has_accepted_is_known_to_the_other(fleet):
    """By its id and in a list, at once."""
    for turn in range(40):
        here, there = turn % 2, 1 - turn % 2
        [vm] = await fleet.api.start(gateway=here)
        assert (await fleet.api.show(vm, there))["instance_id"] == vm, turn
        [other] = await fleet.api.start(gateway=here)
        assert other in await fleet.api.states(there), turn
        for gone in (vm, other):
            await fleet.api.terminate(gone, gateway=there)
            assert (await fleet.api.states(there)).get(gone) in ENDING, turn

        async def going(ids=(vm, other), here=here):
            states = await fleet.api.states(here)
            return all(states.get(vm) in ENDING for vm in ids)

        await until(going, 0.5)


async def test_a_smaller_priority_starts_sooner_and_equals_by_age(fleet):
    full = await fleet.api.start(count=CAPACITY)
    await fleet.api.reaches(full, "Started")
    late = await fleet.api.start(priority=9000)
    usual = [*await fleet.api.start(), *await fleet.api.start()]
    urgent = await fleet.api.start(priority=1)
    wanted = [*urgent, *usual, *late]
    started: list[str] = []

    async def one_more():
        states = await fleet.api.states()
        fresh = [vm for vm in wanted if states[vm] == "Started" and vm not in started]
        started.extend(fresh)
        return fresh

    for victim in full[: len(wanted)]:
        await fleet.api.terminate(victim)
        await until(one_more, 10)
    assert started == wanted


async def test_a_full_group_overflows_into_its_fallback(fleet):
    spare = await fleet.api.ok("POST", "group", {"name": "spare"})
    first = await fleet.api.ok("POST", "group", {"name": "first", "fallback_group_id": spare["id"]})
    nodes = sorted(await fleet.api.nodes())
    try:
        for group, node in ((first, nodes[0]), (spare, nodes[1])):
            body = {"group_ids": [group["id"]], "node_ids": [node]}
            await fleet.api.ok("POST", "node/group", body)

        async def grouped():
            shown = await fleet.api.nodes(1)
            return [[g["name"] for g in shown[n].get("groups", ())] for n in nodes[:2]] == [
                ["first"],
                ["spare"],
            ]

        await until(grouped, 10)
        ids = await fleet.api.start(count=4, group_id=first["id"])
        await fleet.api.reaches(ids, "Started")
        assert Counter(await nodes_of(fleet, ids)) == {nodes[0]: 2, nodes[1]: 2}
        [more] = await fleet.api.start(group_id=first["id"])

        async def waits():
            return (await fleet.api.show(more)).get("reasons")

        assert {reason["filter"] for reason in await until(waits, 5)} <= {"capacity", "group"}
    finally:
        for group in (first, spare):
            await fleet.api.ok("DELETE", f"group?id={group['id']}")


async def test_a_drained_node_finishes_what_it_has_and_takes_nothing(fleet):
    node = min(await fleet.api.nodes())
    [kept] = await fleet.api.start(node_id=node)
    await fleet.api.reaches([kept], "Started")
    await fleet.api.ok("POST", "node/config", {"node_id": node, "drain_mode": True})
    assert (await fleet.api.nodes())[node]["state"] == "Drain Mode"
    ids = await fleet.api.start(count=CAPACITY - 2)
    await fleet.api.reaches(ids, "Started")
    assert node not in await nodes_of(fleet, ids)
    assert (await fleet.api.states())[kept] == "Started"
    await fleet.api.ok("POST", "node/config", {"node_id": node, "drain_mode": False})
    [last] = await fleet.api.start()
    await fleet.api.reaches([last], "Started")
    assert await nodes_of(fleet, [last]) == [node]


async def test_the_same_idempotency_key_starts_once_through_either_gateway(fleet):
    key = uuid.uuid4().hex
    body = {"vmid": fleet.api.template, "count": 3}
    answers = await asyncio.gather(
        *(
            fleet.api.ok("POST", "vm", body, gateway=turn % 2, Idempotency_Key=key)
            for turn in range(6)
        )
    )
    assert len({tuple(ids) for ids in answers}) == 1
    await fleet.api.reaches(answers[0], "Started")
    assert set(await fleet.api.states(1)) == set(answers[0])
    other = await fleet.api.call("POST", "vm", body | {"count": 1}, Idempotency_Key=key)
    assert other["status"] == "FAIL"


@pytest.mark.parametrize("gateway", [0, 1])
async def test_unknown_ids_fail_with_the_documented_words(fleet, gateway):
    unknown = str(uuid.uuid4())
    calls = [
        ("GET", f"vm?id={unknown}", None),
        ("DELETE", "vm", {"id": unknown}),
        ("GET", f"node?id={unknown}", None),
        ("DELETE", "node", {"node_id": unknown}),
        ("POST", "node/config", {"node_id": unknown, "drain_mode": True}),
    ]
    for method, path, body in calls:
        answer = await fleet.api.call(method, path, body, gateway=gateway)
        assert (answer["status"], answer["message"]) == ("FAIL", "Not found"), (method, path)
    template = fleet.api.template
    for wish, message in (
        ({"vmid": unknown}, "VM not in the registry"),
        ({"vmid": template, "tag": "none"}, "No such tag none"),
    ):
        answer = await fleet.api.call("POST", "vm", wish, gateway=gateway)
        assert (answer["status"], answer["message"]) == ("FAIL", message)
    for wish in ({"node_id": unknown}, {"group_id": unknown}):
        answer = await fleet.api.call("POST", "vm", {"vmid": template} | wish, gateway=gateway)
        assert answer["status"] == "FAIL", wish
    assert await fleet.api.states(gateway) == {}
