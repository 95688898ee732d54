"""The main job with simulated nodes, on both buses: ask for a VM, get it, throw it away."""

import base64

from tests.cloud import TEMPLATE_ID
from tests.waiting import until


def script(text):
    return base64.b64encode(text.encode()).decode()


async def test_a_vm_is_started_shown_and_thrown_away(cloud):
    [vm] = await cloud.start(
        tag="v1",
        external_id="job-7",
        startup_script=script("echo hello"),
        script_monitoring=True,
        metadata={"team": "ios"},
    )
    await cloud.reaches([vm], "Started")
    shown = await cloud.show(vm)
    assert shown["vmid"] == TEMPLATE_ID
    assert shown["tag"] == "v1"
    assert shown["startup_script"]["return_code"] == 0
    info = shown["vminfo"]
    assert info["status"] == "running"
    assert info["port_forwarding"][0]["guest_port"] == 22
    assert info["node_id"] == shown["node_id"]
    await cloud.call("DELETE", "vm", {"id": vm})
    assert await cloud.state(vm) in {"Terminating", "Terminated"}
    await cloud.reaches([vm], "")
    assert cloud.live_vms() == {}
    answer = await cloud.call("GET", f"vm?id={vm}")
    assert (answer["status"], answer["message"]) == ("FAIL", "Not found")


async def test_each_step_is_in_the_event_log_once_and_in_order(cloud):
    [vm] = await cloud.start()
    await cloud.reaches([vm], "Started")
    await cloud.call("DELETE", "vm", {"id": vm})
    await cloud.reaches([vm], "")

    async def log():
        entries = await cloud.events()
        return [e.event.kind for e in entries if e.event.subject == vm]

    async def complete():
        return len(await log()) == 4

    await until(complete)
    assert await log() == ["StartVM", "VMStarted", "TerminateVM", "VMTerminated"]
    numbers = [entry.sequence for entry in await cloud.events()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_more_than_fits_waits_with_a_reason_and_starts_when_there_is_room(cloud):
    ids = await cloud.start(count=5)

    async def four_started():
        states = [await cloud.state(vm) for vm in ids]
        return states.count("Started") == 4

    await until(four_started)
    states = {vm: await cloud.state(vm) for vm in ids}
    [waiting] = [vm for vm in ids if states[vm] == "Scheduling"]
    shown = await cloud.show(waiting)
    assert [reason["filter"] for reason in shown["reasons"]] == ["capacity"]
    assert "message" not in shown
    victim = next(vm for vm in ids if vm != waiting)
    await cloud.call("DELETE", "vm", {"id": victim})
    await cloud.reaches([waiting], "Started")


async def test_a_failed_script_is_an_error_with_its_code_and_output(cloud):
    [vm] = await cloud.start(
        startup_script=script("echo oops\nexit 3"), script_monitoring=True, script_fail_handler=2
    )
    await cloud.reaches([vm], "Error")
    shown = await cloud.show(vm)
    assert shown["message"] == "startup script exit code 3"
    assert shown["startup_script"]["return_code"] == 3
    await cloud.call("DELETE", "vm", {"id": vm})
    await cloud.reaches([vm], "")


async def test_a_restart_changes_the_start_date_and_nothing_else(cloud):
    [vm] = await cloud.start()
    await cloud.reaches([vm], "Started")
    before = (await cloud.show(vm))["vminfo"]
    await cloud.call("POST", "rpc/vm/restart", {"instance_id": vm})

    async def restarted():
        return (await cloud.show(vm))["vminfo"]["start_date"] != before["start_date"]

    await until(restarted)
    after = await cloud.show(vm)
    assert after["instance_state"] == "Started"
    assert after["vminfo"]["uuid"] == before["uuid"]


async def test_a_drained_node_keeps_its_vms_and_gets_no_more(cloud):
    await cloud.call("POST", "node/config", {"node_id": "n1", "drain_mode": True})

    async def drained():
        [node] = (await cloud.call("GET", "node?id=n1"))["body"]
        return node["state"] == "Drain Mode"

    await until(drained)
    ids = await cloud.start(count=2)
    await cloud.reaches(ids, "Started")
    assert {(await cloud.show(vm))["node_id"] for vm in ids} == {"n2"}
