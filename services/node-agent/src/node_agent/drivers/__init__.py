"""Hypervisors behind one port; ``DRIVERS`` is the only list of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from chassis.clock import Clock
from node_agent.drivers.port import VmDriver
from node_agent.drivers.simulated import SimulatedDriver
from node_agent.drivers.simulated_host import Delays, Fault, SimulatedHardware


class DriverOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver may want to know of its host. Without ``folder`` nothing is kept.

    ``state_dir``: where simulated VMs are instead.
    ``address``: where clients reach the host. ``start_timeout`` in seconds.
    """

    node_id: str
    clock: Clock
    folder: Path | None = None
    address: str = "127.0.0.1"
    start_timeout: float = 90.0
    state_dir: Path | None = None
    delays: Delays = Delays()
    faults: tuple[Fault, ...] = ()
    hardware: SimulatedHardware = SimulatedHardware()


def _simulated(options: DriverOptions) -> VmDriver:
    default = options.folder / "simulated" if options.folder else None
    return SimulatedDriver(
        options.node_id,
        options.clock,
        state_dir=options.state_dir or default,
        delays=options.delays,
        faults=options.faults,
        hardware=options.hardware,
    )


def _qemu(options: DriverOptions) -> VmDriver:
    from node_agent.drivers.qemu import QemuDriver
    from node_agent.drivers.qemu.driver import QemuSettings

    if options.folder is None:
        raise ValueError("the qemu driver needs a data directory")
    settings = QemuSettings(
        root=options.folder / "qemu", host=options.address, ready_seconds=options.start_timeout
    )
    return QemuDriver(settings, options.clock)


DRIVERS: Mapping[str, Callable[[DriverOptions], VmDriver]] = MappingProxyType(
    {"qemu": _qemu, "simulated": _simulated}
)
"""Name to factory; a real driver's module is imported when it is used."""
