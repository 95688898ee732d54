"""The all-in-one as a user has it: a process, a data folder, a terminal."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from chassis.servers.process import Group
from tests.images import PACKAGES
from tests.ports import free_port
from tests.processes import qemu_processes
from tests.waiting import until

PROGRAM = Path(sys.executable).parent / "corral-embedded"
_READY = "Corral is ready:"
_PORTS = ("METRICS", "SCHEDULER_METRICS", "REGISTRY_METRICS", "EVENT_PUSHER_METRICS")


class AllInOne:
    """One data folder, and ``corral-embedded`` on it again and again, on the same ports."""

    def __init__(self, data: Path, *, terminal: Path | None = None, **settings: Any) -> None:
        self.data = data
        self.folder = terminal or data.with_name(f"{data.name}.terminal")
        self.folder.mkdir(parents=True)
        self.address = f"http://127.0.0.1:{free_port()}"
        ports = {f"CORRAL_{name}_PORT": str(free_port()) for name in (*_PORTS, "AGENT_METRICS")}
        plain = {n: v for n, v in os.environ.items() if not n.startswith(("CORRAL_", "ANKA_"))}
        self.env = plain | ports
        self.env["CORRAL_LISTEN_PORT"] = self.address.rpartition(":")[2]
        self.env["CORRAL_REGISTRY_PORT"] = str(free_port())
        self.env |= {f"CORRAL_{name.upper()}": str(value) for name, value in settings.items()}
        self._group = Group(self.folder)
        self._starts = 0
        demo = data / "demo"
        demo.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            (demo / "packages").symlink_to(_packages())

    @property
    def output(self) -> str:
        """What the present process has written to its terminal."""
        return (self.folder / f"output.{self._starts}").read_text()

    @property
    def pid(self) -> int | None:
        """The process while it runs."""
        return self._group.pid

    def spawn(self) -> None:
        """Start it."""
        self._starts += 1
        argv = [str(PROGRAM), "--data", str(self.data)]
        self._group.spawn(argv, self.env, self.folder / f"output.{self._starts}")

    async def start(self, limit: float = 60.0) -> None:
        """Start it and wait until it says that it is ready."""
        self.spawn()

        def said_so() -> bool:
            assert self.pid is not None, f"it ended: {self.output}"
            return _READY in self.output

        await until(said_so, limit)

    async def stop(self) -> None:
        """SIGTERM, as Ctrl-C does; the VMs stay."""
        await self._group.stop(30)

    def kill(self) -> None:
        """SIGKILL."""
        self._group.kill()

    async def end(self) -> str:
        """``corral-embedded stop``, as `make stop` calls it; what it said."""
        process = await asyncio.create_subprocess_exec(
            *(PROGRAM, "stop", "--data", self.data),
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 0, said.decode()
        return said.decode()

    def qemu(self) -> list[int]:
        """Its QEMU processes."""
        return qemu_processes(self.data)

    def vm_files(self) -> list[Path]:
        """What is left of VMs on the disk."""
        folder = self.data / "agent/qemu/vms"
        return sorted(folder.rglob("*")) if folder.exists() else []


def _packages() -> Path:
    """The demo guest's packages, kept between runs."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    return PACKAGES


@asynccontextmanager
async def all_in_one(
    data: Path, *, terminal: Path | None = None, **settings: Any
) -> AsyncIterator[AllInOne]:
    """An all-in-one that is not started yet; nothing of it is left afterwards."""
    cloud = AllInOne(data, terminal=terminal, **settings)
    try:
        yield cloud
    finally:
        try:
            await cloud.end()
        finally:
            cloud.kill()
