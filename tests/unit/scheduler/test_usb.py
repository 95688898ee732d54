"""USB devices: each serves one instance at a time, whenever its node tells of it."""

import msgspec
import pytest

from contracts.instances import RestartVM
from contracts.nodes import UsbDevice
from contracts.vms import Overrides, RebootVm
from tests.unit.scheduler.builders import Cloud, an_instance, some_facts

FREE = UsbDevice(claim="phone")


@pytest.fixture
def cloud():
    cloud = Cloud()
    cloud.join("n", capacity=9, capabilities=("usb_device",), usb_devices=(FREE, FREE))
    return cloud


def start(cloud, device="phone", **wish):
    [instance] = cloud.start(an_instance(overrides=Overrides(usb_device=device), **wish))
    return instance


def tell(cloud, *devices):
    """The node's next heartbeat shows its devices."""
    facts = some_facts("n", capacity=9, capabilities=("usb_device",), usb_devices=devices)
    lines = [cloud.line(i) for i in cloud.world.on_node["n"].values()]
    cloud.heartbeat("n", *lines, facts=facts)


def used_by(instance):
    return UsbDevice(claim="phone", busy=True, instance_id=instance.id)


def test_each_device_is_given_once_before_its_node_tells_of_it(cloud):
    first, second, third = (start(cloud) for _ in range(3))
    assert (first.status.live, second.status.live, third.status.live) == (True, True, False)
    assert [reason.filter for reason in third.status.reasons] == ["usb"]


def test_a_device_that_its_node_tells_of_does_not_count_twice(cloud):
    first = start(cloud)
    tell(cloud, used_by(first), FREE)
    assert start(cloud).status.live
    assert not start(cloud).status.live


def test_a_device_that_somebody_else_uses_is_not_free(cloud):
    first = start(cloud)
    tell(cloud, used_by(first), UsbDevice(claim="phone", busy=True))
    second = start(cloud)
    assert not second.status.live
    tell(cloud, used_by(first), FREE)
    assert second.status.live


def test_a_device_is_given_back_when_no_vm_is_left(cloud):
    first, _ = start(cloud), start(cloud)
    third = start(cloud)
    cloud.terminate(first)
    assert not third.status.live
    cloud.gone(first)
    assert third.status.live


def test_a_device_that_a_vm_still_has_is_waited_for(cloud):
    first, second = start(cloud), start(cloud)
    tell(cloud, used_by(first), used_by(second))
    cloud.terminate(first)
    cloud.gone(first)
    third = start(cloud)
    assert not third.status.live
    tell(cloud, FREE, used_by(second))
    assert third.status.live


def test_who_needs_no_device_is_not_held_up(cloud):
    start(cloud), start(cloud), start(cloud)
    [plain] = cloud.start(an_instance())
    assert plain.status.live


def test_a_pinned_start_waits_for_a_device_as_well(cloud):
    start(cloud), start(cloud)
    pinned = start(cloud, node_id="n")
    assert [reason.filter for reason in pinned.status.reasons] == ["usb"]


def test_a_restart_with_another_device_holds_that_one_instead():
    cloud = Cloud()
    devices = (FREE, UsbDevice(claim="tablet"))
    cloud.join("n", capacity=9, capabilities=("usb_device",), usb_devices=devices)
    instance = start(cloud)
    cloud.started(instance)
    wish = msgspec.structs.replace(
        instance.spec, restarts=1, overrides=Overrides(usb_device="tablet")
    )
    cloud.say(RestartVM(instance_id=instance.id, generation=2, spec=wish))
    [order] = cloud.sent(RebootVm)
    assert order.usb_device == "tablet"
    assert start(cloud, "phone").status.live
    assert not start(cloud, "tablet").status.live
