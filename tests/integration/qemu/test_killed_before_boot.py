"""An agent killed between two steps of a start, as only a real QEMU shows it."""

import asyncio
import sys
from pathlib import Path

from node_agent.drivers.qemu import process
from node_agent.drivers.qemu.folder import VmFolder
from tests.drivers import qemu
from tests.ports import FORWARDED

KILLED_BEFORE_THE_FIRST_INSTRUCTION = """
import asyncio, os, sys
from pathlib import Path
from chassis.clock import SystemClock
from node_agent.drivers.qemu import QemuDriver, QemuSettings, launch
from node_agent.drivers.qemu.accelerator import Accelerator
launch.Launch._let_run = lambda _launch: os._exit(9)
root, name, port = sys.argv[1:]
settings = QemuSettings(root=Path(root), accelerator=Accelerator.TCG, first_port=int(port))
asyncio.run(QemuDriver(settings, SystemClock()).start(name))
"""


async def test_a_process_whose_guest_never_ran_is_no_running_vm_and_starts_anew(
    tmp_path: Path,
) -> None:
    case = qemu(tmp_path)
    driver = await case.ready()
    await driver.clone(case.spec("paused"))
    folder = VmFolder(tmp_path / "vms", "paused").path
    assert folder.exists()
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED_BEFORE_THE_FIRST_INSTRUCTION),
        *(tmp_path, "paused", str(FORWARDED.start)),
    )
    try:
        assert await agent.wait() == 9
        [left] = process.every(folder)

        again = case.make()
        [listed] = await again.list_vms()
        assert (listed.info.status, listed.info.start_date) == ("stopped", None)
        info = await again.start("paused")
        assert info.status == "running"
        assert info.start_date is not None
        [fresh] = process.every(folder)
        assert fresh != left
        result = await again.run_script("paused", b"echo alive", 20.0)
        assert result.stdout == "alive\n"
    finally:
        await case.make().delete("paused")
    assert process.every(folder) == []
