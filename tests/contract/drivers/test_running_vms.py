"""What every driver promises of a VM that runs; one guest is booted for all questions to it."""

from collections.abc import AsyncIterator

import pytest

from contracts.vms import Overrides, PortRule, VmInfo
from node_agent.drivers.port import HostFault, VmDriver
from tests.drivers import DriverUnderTest
from tests.waiting import until

NAME = "guest"
pytestmark = pytest.mark.timeout(300)  # a busy machine boots ten times slower than an idle one


@pytest.fixture(scope="module")
async def driver(driver_under_test: DriverUnderTest) -> AsyncIterator[VmDriver]:
    driver = await driver_under_test.ready()
    await driver.clone(driver_under_test.spec(NAME))
    await driver.start(NAME)
    yield driver
    await driver.delete(NAME)


async def address(driver: VmDriver, name: str) -> VmInfo:
    """The VM's info once the guest has an address."""

    async def has_address() -> bool:
        return (await driver.info(name)).ip != ""

    found: bool = await until(has_address, limit=20.0, every=0.2)
    assert found
    return await driver.info(name)


async def test_a_started_vm_tells_all_about_itself(driver: VmDriver) -> None:
    info = await address(driver, NAME)
    assert info.status == "running"
    assert info.start_date
    assert info.creation_date
    assert info.creation_date <= info.start_date
    assert info.mac_address.count(":") == 5
    assert info.cpu_cores > 0
    assert info.ram_mb > 0
    assert info.port_forwarding[0].guest_port == 22
    assert info.port_forwarding[0].host_port >= 10000


async def test_a_started_vm_is_listed_running(driver: VmDriver) -> None:
    (listed,) = await driver.list_vms()
    assert (listed.info.name, listed.info.status) == (NAME, "running")
    assert listed.instance_id == f"instance-{NAME}"


async def test_starting_a_running_vm_changes_nothing(driver: VmDriver) -> None:
    before = await driver.info(NAME)
    after = await driver.start(NAME)
    assert (after.uuid, after.start_date) == (before.uuid, before.start_date)


async def test_a_script_tells_its_exit_code_and_output(driver: VmDriver) -> None:
    result = await driver.run_script(NAME, b"echo hello\nexit 7\n", 20.0)
    assert (result.return_code, result.did_timeout) == (7, False)
    assert result.stdout == "hello\n"


async def test_a_script_beyond_its_limit_is_ended(driver: VmDriver) -> None:
    result = await driver.run_script(NAME, b"sleep 60\n", 1.0)
    assert (result.return_code, result.did_timeout) == (-1, True)


async def test_a_script_that_may_run_on_is_given_up_at_its_limit(driver: VmDriver) -> None:
    result = await driver.run_script(NAME, b"sleep 60\n", 1.0, kill=False)
    assert (result.return_code, result.did_timeout) == (-1, True)
    assert (await driver.run_script(NAME, b"exit 3\n", 20.0, kill=False)).return_code == 3


async def test_a_restarted_agent_finds_its_vm_again(
    driver_under_test: DriverUnderTest, driver: VmDriver
) -> None:
    known = await driver.info(NAME)
    other = driver_under_test.make()
    (listed,) = await other.list_vms()
    assert (listed.info.uuid, listed.info.status) == (known.uuid, "running")
    assert listed.info.port_forwarding == known.port_forwarding
    assert (await other.run_script(NAME, b"exit 3\n", 20.0)).return_code == 3


async def test_a_fixed_port_that_another_vm_has_is_a_host_fault(
    driver_under_test: DriverUnderTest, driver: VmDriver
) -> None:
    taken = (await driver.info(NAME)).port_forwarding[0].host_port
    rule = PortRule(name="ssh", guest_port=22, host_port=taken)
    overrides = Overrides(port_forwarding_override=(rule,))
    with pytest.raises(HostFault, match=f"{taken}"):
        await _clone_and_start(driver, driver_under_test, overrides)
    await driver.delete("second")
    assert [vm.info.name for vm in await driver.list_vms()] == [NAME]


async def test_a_vm_lives_through_restart_stop_and_start_and_leaves_nothing(
    driver_under_test: DriverUnderTest,
) -> None:
    driver = await driver_under_test.ready()
    await driver.clone(driver_under_test.spec("lived"))
    begun = await driver.start("lived")

    again = await driver.restart("lived")
    assert again.status == "running"
    assert begun.start_date
    assert again.start_date
    assert again.start_date > begun.start_date
    kept = ("uuid", "mac_address", "port_forwarding", "creation_date")
    assert [getattr(again, k) for k in kept] == [getattr(begun, k) for k in kept]

    await driver.stop("lived")
    stopped = await driver.info("lived")
    assert (stopped.status, stopped.ip) == ("stopped", "")
    assert stopped.stop_date
    assert stopped.stop_date >= again.start_date

    await driver.delete("lived")
    assert "lived" not in [vm.info.name for vm in await driver.list_vms()]
    await driver.clone(driver_under_test.spec("lived"))
    await driver.delete("lived")


async def _clone_and_start(driver: VmDriver, case: DriverUnderTest, overrides: Overrides) -> None:
    await driver.clone(case.spec("second", overrides))
    await driver.start("second")


async def test_a_vm_has_logs_and_what_is_no_vm_has_none(driver: VmDriver) -> None:
    assert (await driver.logs(NAME))["console.log"]
    assert await driver.logs("nobody") == {}
