"""What every driver promises of a restart that changes the VM."""

import pytest

from contracts.vms import Overrides
from node_agent.drivers.port import CannotHonour, Capability, HostFault
from tests.drivers import DriverUnderTest

pytestmark = pytest.mark.timeout(300)  # a busy machine boots ten times slower than an idle one


async def test_a_restart_may_set_another_password(driver_under_test: DriverUnderTest) -> None:
    driver = await driver_under_test.ready()
    await driver.clone(driver_under_test.spec("opened", Overrides(vnc_password="first")))
    await driver.start("opened")
    assert (await driver.info("opened")).vnc_password == "first"
    again = await driver.restart("opened", Overrides(vnc_password="second"))
    assert (again.status, again.vnc_password) == ("running", "second")
    assert (await driver_under_test.make().info("opened")).vnc_password == "second"
    with pytest.raises((CannotHonour, HostFault)):
        await driver.restart("opened", Overrides(usb_device="nowhere"))
    assert (await driver.info("opened")).status == "running"
    await driver.delete("opened")


async def test_a_device_serves_one_vm_at_a_time(driver_under_test: DriverUnderTest) -> None:
    driver = await driver_under_test.ready()
    if Capability.USB_DEVICE not in driver.capabilities:
        assert (await driver.facts()).usb_devices == ()
        return
    wish = Overrides(usb_device="stick")
    for name in ("one", "two"):
        await driver.clone(driver_under_test.spec(name, wish))
    told = [(d.claim, d.instance_id) for d in (await driver.facts()).usb_devices if d.busy]
    assert sorted(told) == [("stick", "instance-one"), ("stick", "instance-two")]
    with pytest.raises(HostFault, match="stick"):
        await driver.clone(driver_under_test.spec("three", wish))
    await driver.start("one")
    await driver.restart("one", Overrides(usb_device="phone"))
    await driver.clone(driver_under_test.spec("three", wish))
    for name in ("one", "two", "three"):
        await driver.delete(name)
    assert not any(device.busy for device in (await driver.facts()).usb_devices)
