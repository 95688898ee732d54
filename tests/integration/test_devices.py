"""USB devices and VLANs from the request to the VM, on a simulated node."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from node_agent.drivers.simulated_host import SimulatedHardware
from tests.cloud import Cloud, running
from tests.waiting import until

HARDWARE = SimulatedHardware(usb_devices=("phone", "tablet"), vlans=("12",))


@pytest.fixture
async def cloud(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[Cloud]:
    """One node with two devices and a VLAN."""
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        await cloud.scheduler()
        await cloud.gateway()
        await cloud.agent("n1", hardware=HARDWARE, max_vm_count=9)
        await cloud.ready(1)
        yield cloud


async def usb(cloud):
    return (await cloud.call("GET", "usb"))["body"]


async def test_a_device_goes_from_vm_to_vm(cloud):
    [first] = await cloud.start(usb_device="phone")
    await cloud.reaches([first], "Started")
    assert (await cloud.show(first))["usb_device"] == "phone"
    assert await usb(cloud) == {
        "phone": {"available": 0, "busy": 1},
        "tablet": {"available": 1, "busy": 0},
    }
    [second] = await cloud.start(usb_device="phone")

    async def waits():
        shown = await cloud.show(second)
        return [reason["filter"] for reason in shown.get("reasons", ())] == ["usb"]

    await until(waits)
    await cloud.call("POST", "rpc/vm/restart", {"instance_id": first, "usb_device": "tablet"})
    await cloud.reaches([second], "Started")
    held = {vm.instance_id: vm.overrides.usb_device for vm in vms(cloud)}
    assert held == {first: "tablet", second: "phone"}
    await cloud.call("DELETE", "vm", {"id": second})

    async def given_back():
        return (await usb(cloud))["phone"] == {"available": 1, "busy": 0}

    await until(given_back)


async def test_a_vm_is_put_on_a_vlan_that_its_node_knows(cloud):
    assert (await cloud.call("GET", "vlan"))["body"] == ["12"]
    [known] = await cloud.start(vlan_tag="12")
    [unknown] = await cloud.start(vlan_tag="13")
    await cloud.reaches([known], "Started")
    assert (await cloud.show(known))["vlan"] == "12"
    assert [vm.overrides.vlan_tag for vm in vms(cloud)] == ["12"]
    [reason] = (await cloud.show(unknown))["reasons"]
    assert reason["filter"] == "vlan"


def vms(cloud):
    return list(cloud.drivers["n1"].hypervisor.vms.values())
