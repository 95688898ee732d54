"""The QEMU that is installed on this host, and what it runs guests with."""

import re
import shutil
from pathlib import Path

from node_agent.drivers.command import checked
from node_agent.drivers.port import HostFault
from node_agent.drivers.qemu.accelerator import AcceleratorChoice
from node_agent.drivers.qemu.machine import PROGRAM, cpu_model
from node_agent.drivers.qemu.migration import Offer

_VERSION = re.compile(r"version (?P<version>\S+)")
_REMEDY = "apt-get install --no-install-recommends qemu-system-x86 qemu-utils"


class Program:
    """Asked once, for as long as the agent runs."""

    def __init__(self, accelerator: AcceleratorChoice) -> None:
        self._accelerator = accelerator
        self._version = ""

    async def version(self) -> str:
        """Its version; HostFault names the remedy when it is not there."""
        if not self._version:
            for program in (PROGRAM, "qemu-img"):
                if shutil.which(program) is None:
                    raise HostFault(f"{program} is missing; remedy: {_REMEDY}")
            said = await checked([PROGRAM, "--version"], timeout=10.0)
            found = _VERSION.search(said.decode())
            self._version = found["version"] if found else "unknown"
        return self._version

    async def offer(self, kernel: Path | None) -> Offer:
        """What guests get; ``kernel`` is booted once, if it must be found out."""
        version = await self.version()
        accelerator = await self._accelerator.choose(version, kernel)
        return Offer(version=version, accelerator=accelerator, cpu_model=cpu_model(accelerator))
