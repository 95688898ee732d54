"""Each parameter of a start on the API page reaches where it belongs, or is refused by name."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from contracts.vms import Disk, Overrides, PortRule
from node_agent.drivers.simulated_host import SimulatedHardware
from tests.cloud import TEMPLATE_ID, Cloud, running
from tests.waiting import until

OVERRIDES = {
    "usb_device": ("phone", "phone"),
    "vcpu": (3, 3),
    "vram": (4096, 4096),
    "mac_address": ("0A:1B:2C:3D:4E:5F", "0A:1B:2C:3D:4E:5F"),
    "vlan_tag": ("12", "12"),
    "video_controller": ("pg", "pg"),
    "hvapic": ("forceOff", "forceOff"),
    "csr_active_config": ("forceOn", "forceOn"),
    "network_local": ("forceOn", "forceOn"),
    "hw_serial": ("C02XK1", "C02XK1"),
    "hw_uuid": ("4203018e-580f-c1b5", "4203018e-580f-c1b5"),
    "port_forwarding_override": (
        [
            {"name": "web", "guest_port": "80", "host_ip": "10.0.0.1", "host_port": "8080"},
            {"name": "vnc", "guest_port": "5900"},
        ],
        (
            PortRule(name="web", guest_port=80, host_ip="10.0.0.1", host_port=8080),
            PortRule(name="vnc", guest_port=5900),
        ),
    ),
    "network_mode": ("host", "host"),
    "disk": (
        {"size": "256G", "skip_container_resize": True},
        Disk(size=256 << 30, skip_container_resize=True),
    ),
    "vnc_password": ("secret", "secret"),
}
"""Parameter to what is asked, and what the driver must be told."""

SCRIPTS = {
    "startup_script",
    "startup_script_condition",
    "script_monitoring",
    "script_timeout",
    "script_fail_handler",
}
LABELS = {"name": "my vm", "external_id": "job-7", "metadata": {"team": "ios", "tries": 2}}
PLACES = {"vmid", "tag", "version", "count", "node_id", "group_id", "priority", "name_template"}
REFUSED = {"group"}

PAGE = """
vmid tag version name external_id count node_id startup_script startup_script_condition
script_monitoring script_timeout script_fail_handler name_template group group_id priority
usb_device vcpu vram metadata mac_address vlan_tag video_controller hvapic csr_active_config
network_local hw_serial hw_uuid port_forwarding_override network_mode disk vnc_password
"""


def test_every_parameter_of_the_page_is_in_a_test_below():
    assert {*OVERRIDES, *SCRIPTS, *LABELS, *PLACES, *REFUSED} == set(PAGE.split())
    assert set(OVERRIDES) == set(Overrides.__struct_fields__)


@pytest.fixture
async def cloud(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[Cloud]:
    """Two nodes that can do everything, with managed MAC addresses."""
    hardware = SimulatedHardware(usb_devices=("phone",), vlans=("12",))
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        await cloud.scheduler(manage_mac_addresses=True)
        await cloud.pusher()
        await cloud.gateway()
        for name in ("n1", "n2"):
            await cloud.agent(name, hardware=hardware, max_vm_count=20)
        await cloud.ready(2)
        yield cloud


def made(cloud):
    """What the drivers were asked to make, by instance."""
    hosts = (cloud.drivers[node].hypervisor for node in cloud.node_ids)
    return {vm.instance_id: vm for host in hosts for vm in host.vms.values()}


async def test_every_override_reaches_the_driver_as_it_was_meant(cloud):
    ids = {name: (await cloud.start(**{name: asked}))[0] for name, (asked, _) in OVERRIDES.items()}
    await cloud.reaches(list(ids.values()), "Started")
    vms = made(cloud)
    told = {name: vms[identity].overrides for name, identity in ids.items()}
    assert {name: getattr(overrides, name) for name, overrides in told.items()} == {
        name: meant for name, (_, meant) in OVERRIDES.items()
    }
    others = [
        msgspec.structs.replace(overrides, **{"mac_address": None, name: None})
        for name, overrides in told.items()
    ]
    assert all(overrides == Overrides() for overrides in others)


async def test_labels_are_shown_as_they_were_given(cloud):
    [vm] = await cloud.start(**LABELS)
    shown = await cloud.show(vm)
    assert {name: shown[name] for name in LABELS} == LABELS


async def test_what_decides_on_template_and_place(cloud):
    group = (await cloud.call("POST", "group", {"name": "ios"}))["body"]["id"]
    await cloud.call("POST", "node/group", {"group_ids": [group], "node_ids": ["n2"]})
    by_group = await cloud.start(group_id=group, count=2, version=0, priority=7)
    by_node = await cloud.start(node_id="n1", tag="v2", name_template="$template_name-$tag")
    await cloud.reaches([*by_group, *by_node], "Started")
    for vm in by_group:
        shown = await cloud.show(vm)
        assert (shown["node_id"], shown["tag"], shown["group_id"]) == ("n2", "v1", group)
    [shown] = [await cloud.show(vm) for vm in by_node]
    assert (shown["node_id"], shown["vmid"], shown["tag"]) == ("n1", TEMPLATE_ID, "v2")
    assert shown["vminfo"]["name"] == "mgmtManaged-base-v2"

    async def told():
        log = [entry.event for entry in await cloud.events("StartVM")]
        return {event.subject: event.fields["priority"] for event in log if event.subject != ""}

    wanted = dict.fromkeys(by_group, 7) | dict.fromkeys(by_node, 0)
    await until(lambda: _equals(told, wanted))


@pytest.mark.parametrize(
    ("handler", "left"), [(0, "stopped"), (1, "running"), (2, None)], ids=["stop", "keep", "delete"]
)
async def test_a_script_obeys_all_its_parameters(cloud, handler, left):
    [vm] = await cloud.start(
        startup_script=base64.b64encode(b"echo begun\nsleep 30").decode(),
        startup_script_condition=1,
        script_monitoring=True,
        script_timeout=1,
        script_fail_handler=handler,
    )
    await cloud.reaches([vm], "Error")
    result = (await cloud.show(vm))["startup_script"]
    assert (result["return_code"], result["did_timeout"]) == (-1, True)
    assert result["stdout"] == "begun\n"
    found = made(cloud).get(vm)
    assert (found.info.status if found else None) == left


async def test_a_permission_group_is_refused_while_there_are_none(cloud):
    answer = await cloud.call("POST", "vm", {"vmid": TEMPLATE_ID, "group": "devops"})
    assert answer == {
        "status": "FAIL",
        "message": "group: works only with resource permissions, which are off",
    }


async def _equals(question, wanted):
    found = await question()
    return {key: found.get(key) for key in wanted} == wanted
