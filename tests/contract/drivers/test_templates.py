"""What every driver promises of templates and of VMs that have not been started."""

import msgspec
import pytest

from contracts.vms import Overrides
from node_agent.drivers.port import CannotHonour, Capability, HostFault, VmMissing
from tests.drivers import DriverUnderTest

WISHES = {
    "vcpu": 2,
    "vram": 192,
    "mac_address": "52:54:00:AA:BB:01",
    "vlan_tag": "7",
    "network_mode": "disconnected",
    "network_local": "off",
    "video_controller": "fbuf",
    "vnc_password": "secret",
    "disk": {"size": 1 << 30},
    "port_forwarding_override": [{"name": "web", "guest_port": 80}],
    "usb_device": "stick",
}


async def test_a_pull_has_the_tag_and_leaves_nothing_missing(
    driver_under_test: DriverUnderTest,
) -> None:
    case = driver_under_test
    driver = case.make()
    told: list[float] = []
    assert await driver.missing_bytes(case.template, case.source) > 0
    await driver.pull(case.template, case.source, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert await driver.missing_bytes(case.template, case.source) == 0
    (cached,) = await driver.templates()
    assert (cached.id, cached.tag, cached.digest) == (
        case.template.id,
        case.template.tag,
        case.template.digest,
    )


async def test_a_clone_is_listed_as_stopped_with_its_labels(
    driver_under_test: DriverUnderTest,
) -> None:
    driver = await driver_under_test.ready()
    await driver.clone(driver_under_test.spec("labelled"))
    (listed,) = await driver_under_test.make().list_vms()
    assert (listed.cloud_id, listed.instance_id, listed.attempt) == (
        "cloud",
        "instance-labelled",
        3,
    )
    assert (listed.info.name, listed.info.status) == ("labelled", "stopped")
    assert listed.info.uuid
    await driver.delete("labelled")
    assert await driver.list_vms() == []


async def test_a_name_is_taken_once(driver_under_test: DriverUnderTest) -> None:
    driver = await driver_under_test.ready()
    await driver.clone(driver_under_test.spec("twice"))
    with pytest.raises(HostFault):
        await driver.clone(driver_under_test.spec("twice"))
    await driver.delete("twice")


async def test_a_tag_in_use_is_not_evicted(driver_under_test: DriverUnderTest) -> None:
    driver = await driver_under_test.ready()
    (cached,) = await driver.templates()
    await driver.clone(driver_under_test.spec("user"))
    with pytest.raises(HostFault, match="in use"):
        await driver.evict(cached)
    await driver.delete("user")
    await driver.evict(cached)
    assert list(await driver.templates()) == []
    with pytest.raises(HostFault):
        await driver.clone(driver_under_test.spec("user"))
    assert await driver.missing_bytes(driver_under_test.template, driver_under_test.source) > 0


async def test_dropping_what_nothing_needs_leaves_every_tag(
    driver_under_test: DriverUnderTest,
) -> None:
    driver = await driver_under_test.ready()
    await driver.evict(None)
    assert len(await driver.templates()) == 1
    await driver.clone(driver_under_test.spec("still"))
    await driver.delete("still")


async def test_an_unknown_vm_is_missing_but_can_be_deleted(
    driver_under_test: DriverUnderTest,
) -> None:
    driver = driver_under_test.make()
    for verb in (driver.start, driver.stop, driver.restart, driver.info):
        with pytest.raises(VmMissing):
            await verb("nobody")
    with pytest.raises(VmMissing):
        await driver.run_script("nobody", b"exit 0", 1.0)
    await driver.delete("nobody")


@pytest.mark.parametrize("field", sorted(WISHES))
async def test_an_override_is_honoured_or_refused_by_its_name(
    driver_under_test: DriverUnderTest, field: str
) -> None:
    driver = await driver_under_test.ready()
    overrides = msgspec.convert({field: WISHES[field]}, Overrides)
    spec = driver_under_test.spec("wish", overrides)
    if Capability(field) in driver.capabilities:
        await driver.clone(spec)
        info = await driver.info("wish")
        shown = {"vcpu": info.cpu_cores, "vram": info.ram_mb, "mac_address": info.mac_address}
        assert shown.get(field, WISHES[field]) == WISHES[field]
    else:
        with pytest.raises(CannotHonour, match=field):
            await driver.clone(spec)
        assert await driver.list_vms() == []
    await driver.delete("wish")


async def test_facts_and_usage_are_plausible(driver_under_test: DriverUnderTest) -> None:
    driver = driver_under_test.make()
    facts, usage = await driver.facts(), await driver.usage()
    assert facts.cpu_count > 0
    assert facts.ram_gb > 0
    assert facts.hypervisor.version
    assert 0 <= usage.cpu_util <= 1
    assert usage.free_disk <= facts.disk_size
