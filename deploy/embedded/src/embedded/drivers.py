"""Which hypervisor the one agent uses."""

import shutil

import msgspec

from node_agent.drivers.qemu.machine import PROGRAM

QEMU, SIMULATED = "qemu", "simulated"
_PROGRAMS = (PROGRAM, "qemu-img")


class Choice(msgspec.Struct, frozen=True):
    """A driver, and what a person should know of it."""

    driver: str
    remark: str


def choose(wished: str) -> Choice:
    """The wished driver, else QEMU where its programs are, else the simulated one."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if wished and wished != SIMULATED:
        return Choice(wished, f"real VMs by {wished}")
    if wished:
        return Choice(SIMULATED, "VMs are simulated, as CORRAL_DRIVER says: nothing really boots")
    if missing:
        return Choice(
            SIMULATED,
            f"VMs are simulated, nothing really boots: {' and '.join(missing)} not found"
            " (Debian and Ubuntu: apt-get install qemu-system-x86 qemu-utils)",
        )
    return Choice(QEMU, "real VMs by QEMU")
