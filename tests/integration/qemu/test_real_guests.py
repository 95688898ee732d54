"""Real guests: what only a real hypervisor can get wrong."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.vms import Disk, Overrides, PortRule
from node_agent.drivers.port import HostFault, VmDriver
from node_agent.drivers.qemu import process
from node_agent.drivers.qemu.accelerator import Accelerator, AcceleratorChoice, boots
from node_agent.drivers.qemu.folder import VmFolder
from tests.drivers import DriverUnderTest, qemu, said
from tests.images import demo_guest
from tests.ports import FORWARDED
from tests.processes import qemu_processes
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)  # a busy machine boots ten times slower than an idle one

BASIC = "basic"
MAC = "52:54:00:AA:BB:01"
WISHED = Overrides(
    vcpu=2,
    vram=192,
    mac_address=MAC,
    disk=Disk(size=256 << 20),
    vnc_password="secret",
    port_forwarding_override=(PortRule(name="web", guest_port=80),),
)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> DriverUnderTest:
    """On a path longer than the address of a socket may be."""
    return qemu(tmp_path_factory.mktemp("qemu") / ("long-" * 20))


@pytest.fixture(scope="module")
async def driver(case: DriverUnderTest) -> AsyncIterator[VmDriver]:
    """A driver with two running guests: ``basic`` and ``wished``."""
    driver = await case.ready()
    await driver.clone(case.spec(BASIC))
    await driver.clone(case.spec("wished", WISHED))
    try:
        await asyncio.gather(driver.start(BASIC), driver.start("wished"))
        yield driver
    finally:
        await driver.delete(BASIC)
        await driver.delete("wished")
    assert qemu_processes(_folder(case, BASIC).parent) == [], "of whatever test"


async def test_the_streams_of_a_script_stay_apart(driver: VmDriver) -> None:
    result = await driver.run_script(BASIC, b"echo out; echo err >&2; exit 124", 20.0)
    assert (result.stdout, result.stderr, result.return_code) == ("out\n", "err\n", 124)
    assert not result.did_timeout


async def test_at_its_limit_a_script_and_all_it_began_are_gone(driver: VmDriver) -> None:
    script = b"echo before; sleep 901 & setsid sleep 902 & (setsid sleep 903 &) & sleep 904"
    result = await driver.run_script(BASIC, script, 1.0)
    assert (result.did_timeout, result.return_code, result.stdout) == (True, -1, "before\n")
    assert await said(driver, BASIC, "ps | grep -c 'slee[p] 90' || true") == "0"


async def test_what_a_script_left_running_on_purpose_stays(driver: VmDriver) -> None:
    await said(driver, BASIC, "sleep 905 &")
    assert await said(driver, BASIC, "ps | grep -c 'slee[p] 905'") == "1"
    assert await said(driver, BASIC, "ps | grep -c 'slee[p] 30$'") == "1"


async def test_a_script_that_may_run_on_does(driver: VmDriver) -> None:
    script = b"until [ -e /tmp/go ]; do sleep 0.1; done; touch /tmp/gone"
    result = await driver.run_script(BASIC, script, 1.0, kill=False)
    assert result.did_timeout
    await said(driver, BASIC, "touch /tmp/go; until [ -e /tmp/gone ]; do sleep 0.1; done")


async def test_output_is_capped(driver: VmDriver) -> None:
    result = await driver.run_script(BASIC, b"head -c 1500000 /dev/zero", 60.0)
    assert len(result.stdout) == 1024 * 1024


async def test_scripts_run_side_by_side(driver: VmDriver) -> None:
    """Each waits for all the others."""
    meet = "touch /tmp/side.{n}; until [ $(ls /tmp/side.* | wc -l) = 4 ]; do sleep 0.1; done"
    results = await asyncio.gather(
        *(
            driver.run_script(BASIC, f"{meet.format(n=n)}; echo {n}".encode(), 30.0)
            for n in range(4)
        )
    )
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(4)]


async def test_the_guest_has_the_name_of_the_vm(driver: VmDriver) -> None:
    assert await said(driver, BASIC, "hostname") == BASIC


async def test_a_forwarded_port_reaches_the_guest(driver: VmDriver) -> None:
    ports = {rule.name: rule for rule in (await driver.info(BASIC)).port_forwarding}
    page = await asyncio.to_thread(_get, ports["http"].host_port)
    assert b"It runs" in page
    greeting = await asyncio.to_thread(_greeting, ports["ssh"].host_port)
    assert greeting.startswith(b"SSH-2.0-")


async def test_overrides_reach_the_guest(driver: VmDriver) -> None:
    info = await driver.info("wished")
    assert (info.cpu_cores, info.ram_mb, info.mac_address) == (2, 192, MAC)
    assert [rule.name for rule in info.port_forwarding] == ["web"]
    assert await said(driver, "wished", "nproc") == "2"
    assert await said(driver, "wished", "cat /sys/class/net/eth0/address") == MAC.lower()
    kib = int(await said(driver, "wished", "df -k / | tail -1 | awk '{print $2}'"))
    assert kib > 200 * 1024
    memory = int(await said(driver, "wished", "awk '/MemTotal/{print $2}' /proc/meminfo"))
    assert 128 * 1024 < memory < 192 * 1024


async def test_the_screen_can_be_reached_where_a_password_was_given(driver: VmDriver) -> None:
    info = await driver.info("wished")
    assert info.vnc_password == "secret"
    assert (await asyncio.to_thread(_greeting, info.vnc_port)).startswith(b"RFB ")
    assert (await driver.info(BASIC)).vnc_port == 0


async def test_a_disconnected_guest_runs_without_an_address(
    case: DriverUnderTest, driver: VmDriver
) -> None:
    await driver.clone(case.spec("alone", Overrides(network_mode="disconnected")))
    info = await driver.start("alone")
    assert (info.status, info.ip, info.port_forwarding) == ("running", "", ())
    assert await said(driver, "alone", "cat /sys/class/net/eth0/carrier") == "0"
    await driver.delete("alone")


async def test_a_port_that_a_program_has_taken_is_passed_over_or_refused(
    case: DriverUnderTest, driver: VmDriver
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        rule = PortRule(name="ssh", guest_port=22, host_port=port)
        await driver.clone(case.spec("fixed", Overrides(port_forwarding_override=(rule,))))
        with pytest.raises(HostFault, match=f"failed to start: port {port} is in use"):
            await driver.start("fixed")
    await driver.delete("fixed")


async def test_a_start_that_is_cancelled_leaves_nothing_after_delete(
    case: DriverUnderTest, driver: VmDriver
) -> None:
    await driver.clone(case.spec("cancelled"))
    folder = _folder(case, "cancelled")
    starting = asyncio.create_task(driver.start("cancelled"))
    await until(lambda: process.every(folder))
    starting.cancel()
    await asyncio.wait([starting])
    await driver.delete("cancelled")
    assert process.every(folder) == []
    assert not folder.exists()


async def test_delete_does_not_wait_for_a_start_under_way(
    case: DriverUnderTest, driver: VmDriver
) -> None:
    await driver.clone(case.spec("doomed"))
    starting = asyncio.create_task(driver.start("doomed"))
    await until(lambda: process.every(_folder(case, "doomed")))
    await asyncio.wait_for(driver.delete("doomed"), 3.0)
    assert process.every(_folder(case, "doomed")) == []
    with pytest.raises(HostFault):
        await starting


async def test_a_guest_that_does_not_answer_fails_with_its_console(
    case: DriverUnderTest, driver: VmDriver, tmp_path: Path
) -> None:
    hasty = qemu(tmp_path, ready_seconds=1.0)
    other = await hasty.ready()
    await other.clone(hasty.spec("slow"))
    with pytest.raises(HostFault, match=r"does not answer in 1 s; its console says: "):
        await other.start("slow")
    assert (await other.info("slow")).status == "failed"
    await other.delete("slow")
    assert qemu_processes(tmp_path) == []


async def test_a_vm_outlives_the_agent_that_started_it(
    case: DriverUnderTest, driver: VmDriver
) -> None:
    """And one whose hypervisor was killed is failed, one that shut itself down is stopped."""
    await driver.clone(case.spec("orphan"))
    folder = _folder(case, "orphan")
    code = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from chassis.clock import SystemClock\n"
        "from node_agent.drivers.qemu import QemuDriver, QemuSettings\n"
        "from node_agent.drivers.qemu.accelerator import Accelerator\n"
        "root, port = Path(sys.argv[1]), int(sys.argv[2])\n"
        "settings = QemuSettings(root=root, accelerator=Accelerator.TCG, first_port=port)\n"
        "asyncio.run(QemuDriver(settings, SystemClock()).start('orphan'))\n"
        "os._exit(9)\n"
    )
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, folder.parent.parent, str(FORWARDED.start)
    )
    assert await agent.wait() == 9

    again = case.make()
    assert (await again.info("orphan")).status == "running"
    assert await said(again, "orphan", "echo alive") == "alive"

    pid = process.running(folder)
    assert pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: process.running(folder) is None)
    assert (await again.info("orphan")).status == "failed"

    started = await again.restart("orphan")
    assert started.status == "running"
    await again.run_script("orphan", b"(until [ -e /go ]; do sleep 0.1; done; poweroff) &", 10.0)
    with contextlib.suppress(HostFault):  # it may be down before it has answered
        await again.run_script("orphan", b"touch /go", 10.0)
    await until(lambda: process.running(folder) is None, limit=20.0)
    stopped = await again.info("orphan")
    assert stopped.status == "stopped"
    assert stopped.stop_date
    with pytest.raises(HostFault, match="not running"):
        await again.run_script("orphan", b"true", 1.0)
    await again.delete("orphan")
    assert not folder.exists()


async def test_a_rest_of_a_vm_is_listed_as_failed_and_can_be_deleted(
    case: DriverUnderTest, driver: VmDriver
) -> None:
    rest = _folder(case, "rest")
    rest.mkdir()
    (rest / "disk.qcow2").write_bytes(b"")
    assert ("rest", "failed") in [(vm.info.name, vm.info.status) for vm in await driver.list_vms()]
    await driver.delete("rest")
    assert not rest.exists()


async def test_a_probe_tells_a_kernel_that_boots_from_one_that_does_not(tmp_path: Path) -> None:
    assert await boots(Accelerator.TCG, demo_guest().kernel, 30.0)
    nothing = tmp_path / "vmlinuz"
    nothing.write_bytes(b"no kernel")
    assert not await boots(Accelerator.TCG, nothing, 5.0)


async def test_the_verdict_of_a_probe_is_kept(tmp_path: Path) -> None:
    """A device that every program may open, and no QEMU can use."""
    verdicts = tmp_path / "accelerator.json"
    device = tmp_path / "kvm"
    choice = AcceleratorChoice(Accelerator.AUTO, verdicts, device)
    assert await choice.choose("7.2", None) == "tcg"
    device.touch()
    nothing = tmp_path / "vmlinuz"
    nothing.write_bytes(b"no kernel")
    assert await choice.choose("7.2", nothing) == "tcg"
    kept = verdicts.read_bytes()
    nothing.unlink()
    assert await choice.choose("7.2", nothing) == "tcg"
    assert verdicts.read_bytes() == kept


def _folder(case: DriverUnderTest, name: str) -> Path:
    driver = case.make()
    return VmFolder(driver._folders, name).path  # type: ignore[attr-defined]


def _get(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return bytes(answer.read())


def _greeting(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        return connection.recv(64)
