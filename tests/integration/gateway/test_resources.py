"""USB devices and VLANs over all nodes, as the API page shows them."""

import msgspec
import pytest

from contracts.instances import InstanceState
from contracts.nodes import NodeState, UsbDevice
from contracts.vms import Overrides
from tests.integration.gateway.cloud import NODE, TEMPLATE, Api, Cloud, node, node_changed, running
from tests.waiting import until

FREE, FOREIGN = UsbDevice(claim="iphone7"), UsbDevice(claim="iphone7", busy=True)
CAPABLE = ("usb_device", "vnc_password")


@pytest.fixture
async def api(cloud: Cloud) -> Api:
    await cloud.add_template()
    await cloud.add_node(
        capabilities=CAPABLE,
        usb_devices=(FREE, FREE, UsbDevice(claim="tablet", busy=True)),
        vlans=("100", "12"),
    )
    await cloud.add_node("second", usb_devices=(FREE, FOREIGN), vlans=("55", "12", "lab"))
    return await cloud.gateway()


async def usb(api: Api):
    return (await api("GET", "/api/v1/usb")).body


async def place(api: Api, cloud: Cloud, device: str) -> str:
    """An instance that runs on the first node, with this device."""
    (identity,) = await api.start(usb_device=device, node_id=NODE)
    info = running()
    await cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, live=True, vminfo=info)
    await until(lambda: _is_started(api, identity))
    return identity


async def test_devices_are_counted_over_all_nodes(api: Api):
    assert await usb(api) == {
        "iphone7": {"available": 3, "busy": 1},
        "tablet": {"available": 0, "busy": 1},
    }


async def test_a_device_is_busy_as_soon_as_an_instance_is_placed_and_counts_once(
    api: Api, cloud: Cloud
):
    identity = await place(api, cloud, "iphone7")
    assert (await usb(api))["iphone7"] == {"available": 2, "busy": 2}
    held = UsbDevice(claim="iphone7", busy=True, instance_id=identity)
    document = node(NODE, usb_devices=(held, FREE))
    status_revision = document.status_revision + 1
    await cloud.publish(
        node_changed(msgspec.structs.replace(document, status_revision=status_revision))
    )

    async def told():
        return await usb(api) == {"iphone7": {"available": 2, "busy": 2}}

    await until(told)


async def test_an_offline_node_offers_nothing(api: Api, cloud: Cloud):
    document = node("second", usb_devices=(FREE, FOREIGN), vlans=("55",))
    status = msgspec.structs.replace(document.status, state=NodeState.OFFLINE)
    await cloud.publish(
        node_changed(msgspec.structs.replace(document, status=status, status_revision=2))
    )

    async def gone():
        return (await usb(api))["iphone7"] == {"available": 2, "busy": 0}

    await until(gone)
    assert (await api("GET", "/api/v1/vlan")).body == ["12", "100"]


async def test_a_cloud_without_devices_has_an_empty_map(cloud: Cloud):
    bare = await cloud.gateway()
    assert await usb(bare) == {}
    assert (await bare("GET", "/api/v1/vlan")).body == []


async def test_vlans_are_listed_once_as_strings_in_order(api: Api):
    assert (await api("GET", "/api/v1/vlan")).body == ["12", "55", "100", "lab"]


async def test_a_restart_takes_a_device_that_is_free_and_no_other(api: Api, cloud: Cloud):
    identity = await place(api, cloud, "iphone7")
    restart = "/api/v1/rpc/vm/restart"
    busy = await api("POST", restart, {"instance_id": identity, "usb_device": "tablet"})
    assert busy.failure == "usb_device: the node of this instance has no tablet free"
    same = await api("POST", restart, {"instance_id": identity, "usb_device": "iphone7"})
    assert same.body is None
    await cloud.move(identity, restarts=1)
    again = await api("POST", restart, {"instance_id": identity, "vnc_password": "x"})
    assert again.body is None


async def test_a_restart_refuses_what_the_node_cannot_do(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    await cloud.move(
        identity, state=InstanceState.STARTED, node_id="second", live=True, vminfo=running()
    )
    wish = {"instance_id": identity, "vnc_password": "x"}
    answer = await api("POST", "/api/v1/rpc/vm/restart", wish)
    assert answer.failure == "vnc_password: the node of this instance does not support it"
    stored = await cloud.write_status(identity)
    assert (stored.spec.restarts, stored.spec.overrides) == (0, Overrides())


async def test_a_device_that_no_node_could_attach_is_refused(api: Api):
    answer = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE, "vlan_tag": "12"})
    assert answer.failure == "vlan_tag: no node of this cloud supports it"


async def _is_started(api: Api, identity: str) -> bool:
    return (await api.vm(identity))["instance_state"] == "Started"
