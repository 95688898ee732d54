"""A real guest that is suspended: it goes on on another host, or boots from its disk there."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from contracts.artifacts import CONFIG_TYPE, STATE_TYPE, SavedState
from contracts.templates import TemplateRef
from contracts.vms import Overrides
from node_agent.drivers.port import HostFault, SavedImage, VmDriver
from node_agent.drivers.qemu import migration, process
from node_agent.drivers.qemu.folder import VmFolder
from node_agent.drivers.qemu.guest_agent import GuestAgent
from tests.drivers import DriverUnderTest, qemu, said
from tests.images import MemorySource
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)  # a busy machine boots ten times slower than an idle one

ORIGIN = "origin"
CHANGE = """
echo changed > /root/mark
(while :; do echo x >> /tmp/beats; sleep 0.1; done) >/dev/null 2>&1 &
"""
FUTURE = "pc-q35-99.0"


def publish(
    source: MemorySource, image: SavedImage, tag: str, saved: SavedState | None
) -> TemplateRef:
    """The image as a tag whose state says it needs this."""
    for layer in image.layers:
        file = image.files[layer.digest]
        assert isinstance(file, Path)
        source.blobs[layer.digest] = file.read_bytes()
    config = msgspec.structs.replace(image.config, saved=saved)
    described = source.put(CONFIG_TYPE, msgspec.json.encode(config))
    return source.put_manifest("saved", tag, described, list(image.layers))


async def beats(driver: VmDriver, name: str) -> int:
    """How often a process of the guest has beaten; 0 where it has not been begun."""
    return int(await said(driver, name, "cat /tmp/beats 2>/dev/null | wc -l"))


async def beats_again(driver: VmDriver, name: str, beaten: int) -> None:
    """Wait until the guest's process has beaten more often."""

    async def more() -> bool:
        return await beats(driver, name) > beaten

    await until(more, 30)


async def goes_on(driver: VmDriver, name: str, beaten: int) -> None:
    """Wait until the guest's process has beaten again, and compare its clock with the host's."""
    await beats_again(driver, name, beaten)
    before = time.time()
    guest = int(await said(driver, name, "date +%s"))
    assert before - 5 < guest < time.time() + 5


@dataclass
class Hosts:
    """A host with a guest that was suspended into an image, and another that has its template.

    That one has ``fetched`` the image as well, and ``asked`` for these blobs.
    """

    here: VmDriver
    there: VmDriver
    case: DriverUnderTest
    image: SavedImage
    beaten: int
    fetched: TemplateRef
    asked: set[str]


@pytest.fixture(scope="module")
async def hosts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hosts]:
    case, other = qemu(tmp_path_factory.mktemp("here")), qemu(tmp_path_factory.mktemp("there"))
    other.source.blobs = case.source.blobs
    here, there = await case.ready(), await other.ready()
    await here.clone(case.spec(ORIGIN))
    await here.start(ORIGIN)
    await said(here, ORIGIN, CHANGE)
    beaten = await beats(here, ORIGIN)
    image = await here.save(ORIGIN, suspend=True, test=True)
    fetched = publish(case.source, image, "v2", image.config.saved)
    case.source.asked.clear()
    await there.pull(fetched, case.source, lambda _: None)
    asked = {digest for digest, _ in case.source.asked}
    yield Hosts(here, there, case, image, beaten, fetched, asked)
    await here.delete(ORIGIN)
    for name in ("one", "two", "broken-off", "rehearsed", "cold"):
        await there.delete(name)


async def clone(driver: VmDriver, case: DriverUnderTest, ref: TemplateRef, name: str) -> None:
    await driver.pull(ref, case.source, lambda _: None)
    await driver.clone(msgspec.structs.replace(case.spec(name), template=ref))


async def wake(hosts: Hosts, name: str) -> None:
    """Have the suspended guest go on on the other host, under this name."""
    await clone(hosts.there, hosts.case, hosts.fetched, name)
    await hosts.there.start(name)


async def test_only_what_the_other_host_lacks_is_fetched(hosts: Hosts) -> None:
    new = {hosts.image.layers[2].digest, hosts.image.layers[-1].digest}
    assert new < hosts.asked
    assert len(hosts.asked) == len(new) + 1  # and the config


async def test_a_suspended_guest_goes_on_on_other_hosts_with_a_clock_and_name_of_its_own(
    hosts: Hosts,
) -> None:
    for name in ("one", "two"):
        await clone(hosts.there, hosts.case, hosts.fetched, name)
        assert (await hosts.there.info(name)).status == "suspended"
        info = await hosts.there.start(name)
        assert (info.status, bool(info.ip)) == ("running", True)
        assert await said(hosts.there, name, "cat /root/mark; hostname") == f"changed\n{name}"
        await goes_on(hosts.there, name, hosts.beaten)
        mac = await said(hosts.there, name, "cat /sys/class/net/eth0/address")
        assert mac == info.mac_address.lower() == hosts.image.config.saved.mac_address.lower()  # type: ignore[union-attr]


async def test_a_guest_whose_save_broke_off_goes_on_and_can_be_saved(hosts: Hosts) -> None:
    """Also by the next agent: nothing of it is in the memory of the one that was cancelled."""
    name = "broken-off"
    await wake(hosts, name)
    before = await beats(hosts.there, name)
    saving = asyncio.create_task(hosts.there.save(name, suspend=True))
    folder = VmFolder(hosts.there._folders, name)  # type: ignore[attr-defined]
    await until(lambda: folder.state.with_name("state.part").exists() or saving.done())
    saving.cancel()
    await asyncio.wait([saving])
    assert (await hosts.there.start(name)).status == "running"
    await goes_on(hosts.there, name, before)
    image = await hosts.there.save(name, suspend=True)
    assert len(image.layers) == len(hosts.image.layers) + 1
    assert process.every(folder.path) == []
    assert (await hosts.there.start(name)).status == "running"
    assert await said(hosts.there, name, "cat /root/mark") == "changed"


async def test_a_guest_that_was_saved_goes_on_where_it_was(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it cannot be told the time: with its end all that it did would be lost."""

    async def refused(*_given: object) -> None:
        raise HostFault("the guest cannot set its clock and name")

    with monkeypatch.context() as patched:
        patched.setattr(GuestAgent, "wake_up", refused)
        await hosts.here.start(ORIGIN)
    await beats_again(hosts.here, ORIGIN, hosts.beaten)
    await hosts.here.save(ORIGIN, suspend=True)
    await hosts.here.start(ORIGIN)
    await goes_on(hosts.here, ORIGIN, hosts.beaten)
    await said(hosts.here, ORIGIN, "echo more >> /root/mark && sync")


async def test_a_state_that_does_not_fit_the_host_is_left_and_the_disk_is_booted(
    hosts: Hosts,
) -> None:
    """A machine type that this QEMU does not have, found out when it refuses it."""
    saved = hosts.image.config.saved
    assert saved
    unknown = msgspec.structs.replace(saved, machine=FUTURE)
    ref = publish(hosts.case.source, hosts.image, "v3", unknown)
    await clone(hosts.there, hosts.case, ref, "cold")
    info = await hosts.there.start("cold")
    assert info.status == "running"
    assert info.mac_address != saved.mac_address
    assert await said(hosts.there, "cold", "cat /root/mark; hostname") == "changed\ncold"
    assert await beats(hosts.there, "cold") == 0


async def test_a_state_that_cannot_be_woken_up_fails_the_sanity_test(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved stays as it is, and of the rehearsal nothing is left."""
    name = "rehearsed"
    await wake(hosts, name)
    real = migration.save_state

    async def cut_short(folder: Path, target: Path, *given: object) -> SavedState:
        found = await real(folder, target, *given)  # type: ignore[arg-type]
        os.truncate(target, 1 << 20)
        return found

    monkeypatch.setattr(migration, "save_state", cut_short)
    with pytest.raises(HostFault):
        await hosts.there.save(name, suspend=True, test=True)
    assert (await hosts.there.info(name)).status == "suspended"
    folder = VmFolder(hosts.there._folders, name)  # type: ignore[attr-defined]
    assert process.every(folder.path) == []
    assert not (folder.path / "spare.qcow2").exists()
    assert folder.state.exists()
    assert (await hosts.there.restart(name)).status == "running"
    assert not folder.state.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"version": "0.1"},
        {"accelerator": "kvm"},
        {"cpu_model": "host: Some Processor"},
        {"hypervisor": "other"},
    ],
)
def test_what_made_the_state_must_be_what_would_restore_it(change: dict[str, str]) -> None:
    saved = SavedState(
        machine="pc-q35-7.2", version="7.2", accelerator="tcg", cpu_model="max", cpu=1, ram_mb=128
    )
    offer = migration.Offer(version="7.2", accelerator="tcg", cpu_model="max")
    assert migration.misfit(saved, offer) == ""
    assert next(iter(change)) in migration.misfit(msgspec.structs.replace(saved, **change), offer)


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        (Overrides(), "suspended"),
        (Overrides(network_mode="disconnected"), "suspended"),
        (Overrides(vcpu=2), "stopped"),
        (Overrides(vram=256), "stopped"),
        (Overrides(mac_address="52:54:00:00:00:99"), "stopped"),
        (Overrides(vnc_password="secret"), "stopped"),
        (msgspec.convert({"disk": {"size": 1 << 30}}, Overrides), "stopped"),
    ],
)
async def test_a_wish_for_other_hardware_boots_the_disk(
    hosts: Hosts, wish: Overrides, status: str
) -> None:
    spec = msgspec.structs.replace(hosts.case.spec("wish"), template=hosts.fetched, overrides=wish)
    await hosts.there.clone(spec)
    assert (await hosts.there.info("wish")).status == status
    await hosts.there.delete("wish")


async def test_a_state_that_would_be_an_option_of_the_hypervisor_is_not_used(hosts: Hosts) -> None:
    saved = hosts.image.config.saved
    assert saved
    for evil in ({"machine": "q35,dumpdtb=/tmp/x"}, {"mac_address": "52:54:00:00:00:01,romfile=x"}):
        ref = publish(
            hosts.case.source, hosts.image, "evil", msgspec.structs.replace(saved, **evil)
        )
        await clone(hosts.there, hosts.case, ref, "wish")
        assert (await hosts.there.info("wish")).status == "stopped"
        await hosts.there.delete("wish")


async def test_the_state_is_one_blob_of_the_image(hosts: Hosts) -> None:
    kinds = [layer.media_type for layer in hosts.image.layers]
    assert kinds.count(STATE_TYPE) == 1
    saved = hosts.image.config.saved
    assert saved
    assert saved.machine.startswith("pc-q35-")
    assert saved.version == (await hosts.here.facts()).hypervisor.version
