"""Every driver as the behaviour suite takes it: a way to make it, a template, a source."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chassis.clock import SystemClock
from contracts.templates import TemplateRef
from contracts.vms import Overrides
from node_agent.drivers.port import VmDriver, VmSpec
from node_agent.drivers.qemu import QemuDriver, QemuSettings
from node_agent.drivers.qemu.accelerator import Accelerator
from node_agent.drivers.simulated import SimulatedDriver
from node_agent.drivers.simulated_host import Delays, SimulatedHardware
from tests.images import MemorySource, demo_guest, publish
from tests.ports import FORWARDED


@dataclass(frozen=True)
class DriverUnderTest:
    """``make`` returns a new driver object for the same host: an agent that was restarted."""

    make: Callable[[], VmDriver]
    template: TemplateRef
    source: MemorySource

    def spec(self, name: str, overrides: Overrides | None = None) -> VmSpec:
        return VmSpec(
            name=name,
            template=self.template,
            overrides=overrides or Overrides(),
            cloud_id="cloud",
            instance_id=f"instance-{name}",
            attempt=3,
        )

    async def ready(self) -> VmDriver:
        """A driver with the template in its cache."""
        driver = self.make()
        await driver.pull(self.template, self.source, lambda _: None)
        return driver


async def said(driver: VmDriver, name: str, script: str) -> str:
    """What a script that must succeed wrote."""
    result = await driver.run_script(name, script.encode(), 30.0)
    assert result.return_code == 0, result
    return result.stdout.strip()


def qemu(root: Path, ready_seconds: float = 110.0) -> DriverUnderTest:
    """The real hypervisor, emulating: what a probe finds differs between machines."""
    given = QemuSettings(
        root=root,
        accelerator=Accelerator.TCG,
        ready_seconds=ready_seconds,
        first_port=FORWARDED.start,
        last_port=FORWARDED.stop - 1,
    )
    source = MemorySource()
    template = publish(source, demo_guest())
    return DriverUnderTest(lambda: QemuDriver(given, SystemClock()), template, source)


def simulated(root: Path) -> DriverUnderTest:
    """The make-believe one; its VMs outlive the driver object in a folder."""
    source = MemorySource()
    template = publish(source, demo_guest())
    delays = Delays(start=0.01, stop=0.01)
    hardware = SimulatedHardware(usb_devices=("stick", "stick", "phone"), vlans=("7",))
    return DriverUnderTest(
        lambda: SimulatedDriver(
            "node", SystemClock(), state_dir=root, delays=delays, hardware=hardware
        ),
        template,
        source,
    )


DRIVERS: dict[str, Callable[[Path], DriverUnderTest]] = {"qemu": qemu, "simulated": simulated}
"""Add a driver here, and the whole suite holds for it."""
