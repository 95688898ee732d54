"""The cloud as it runs in production: every service a process of its own, on free loopback ports.

Processes end with the one that started them, however that ends. QEMU outlives its agent, so
whoever starts real VMs ends them: see ``qemu_processes``.
"""

import asyncio
import functools
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from chassis.servers.process import Group
from contracts.artifacts import TemplateConfig
from corral.registry import RegistryClient, repository_of_name
from tests.api import Api
from tests.ports import free_port
from tests.registries import push, qcow2
from tests.waiting import until

_BIN = Path(sys.executable).parent
_TAIL = 4000
_STOP_LIMIT = 15.0


class _Process:
    """One service: how it is started, again and again, on the same ports and data."""

    def __init__(self, argv: list[str], settings: Mapping[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True)
        self.argv = argv
        self.log = folder / "log"
        self.group = Group(folder)
        self.health = f"http://127.0.0.1:{settings['metrics_port']}"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CORRAL_", "ANKA_"))
        }
        given = {f"CORRAL_{name.upper()}": _text(value) for name, value in settings.items()}
        self.env = inherited | given

    def spawn(self) -> None:
        self.group.spawn(self.argv, self.env, self.log)


class Cloud:
    """Services on one mongod and one RabbitMQ, by name. ``folder`` keeps logs and agents' data.

    ``api`` speaks to the gateways, numbered as they were added.
    """

    def __init__(self, folder: Path, mongodb_url: str, rabbitmq_url: str, database: str) -> None:
        self.folder = folder
        self.api = Api()
        self.database = database
        self.broker = rabbitmq_url
        self.registry_url = ""
        self._servers = {
            "mongodb_url": mongodb_url,
            "mongodb_database": database,
            "rabbitmq_url": rabbitmq_url,
        }
        self._processes: dict[str, _Process] = {}

    @property
    def names(self) -> list[str]:
        """Every service added, running or not."""
        return list(self._processes)

    def registry(self, name: str = "registry", **settings: Any) -> None:
        """Add the registry; before the gateways and agents, which are told its address."""
        port = free_port()
        self.registry_url = f"http://127.0.0.1:{port}"
        defaults = {
            "listen_port": port,
            "base_path": self.folder / name / "blobs",
            "public_address": self.registry_url,
            "disk_reserve": 0,
        }
        self._add(name, "corral-registry", defaults | settings)

    def gateway(self, name: str, **settings: Any) -> None:
        """Add a gateway."""
        port = free_port()
        self.api.gateways.append(f"http://127.0.0.1:{port}")
        defaults = {
            "listen_port": port,
            "registry_address": self.registry_url or "http://127.0.0.1:9",
            "registry_poll_seconds": 1.0,
        }
        self._add(name, "corral-gateway", defaults | settings)

    def scheduler(self, name: str, **settings: Any) -> None:
        """Add a scheduler."""
        self._add(name, "corral-scheduler", settings)

    def pusher(self, name: str, **settings: Any) -> None:
        """Add an event-pusher."""
        self._add(name, "corral-event-pusher", settings)

    def agent(self, name: str, **settings: Any) -> None:
        """Add an agent whose node id (or its beginning, with several nodes) is its name."""
        defaults = {
            "name": name,
            "node_id": name,
            "host": "127.0.0.1",
            "data": self.data(name),
            "driver": "simulated",
        }
        settings = defaults | settings
        self._add(name, "corral-agent", settings, "join", self._servers["rabbitmq_url"])

    def data(self, agent: str) -> Path:
        """The data directory of an agent."""
        return self.folder / agent / "data"

    def start(self, *names: str) -> None:
        """Spawn these again, on the same ports and data; all that do not run when none is named."""
        for name in names or self.names:
            process = self._processes[name]
            if process.group.pid is None:
                process.group.kill()
                process.spawn()

    def kill(self, *names: str) -> None:
        """SIGKILL these."""
        for name in names:
            self._processes[name].group.kill()

    def running(self, name: str) -> bool:
        """Whether its process lives."""
        return self._processes[name].group.pid is not None

    async def up(self, *names: str, limit: float = 30.0) -> None:
        """Wait until these (all when none is named) say that they are ready."""
        for name in names or self.names:
            await until(functools.partial(self.is_ready, name), limit, every=0.05)

    async def is_ready(self, name: str) -> bool:
        """Whether it is up and reaches what it needs; a process that ended is a failure."""
        process = self._processes[name]
        assert self.running(name), f"{name} has ended: {_end_of(process.log)}"
        try:
            async with self.api.http.get(f"{process.health}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def targets(self) -> dict[str, str]:
        """Where Prometheus finds the metrics of each service: address to program."""
        return {
            process.health.removeprefix("http://"): Path(process.argv[0]).name
            for process in self._processes.values()
        }

    async def metrics(self, name: str) -> str:
        """What a service says of itself to Prometheus."""
        async with self.api.http.get(f"{self._processes[name].health}/metrics") as answer:
            return await answer.text()

    def pid(self, name: str) -> int:
        """Its process id while it runs."""
        pid = self._processes[name].group.pid
        assert pid is not None, f"{name} does not run"
        return pid

    def log_of(self, name: str) -> list[dict[str, Any]]:
        """Its log so far; lines that are no JSON become ``{"event": line}``."""
        return [_line(line) for line in self._processes[name].log.read_text().splitlines()]

    async def push_template(self, name: str = "base", tag: str = "v1") -> str:
        """Push what simulated hosts take for a template; its id, also ``api.template`` then."""
        repository = repository_of_name(name)
        async with RegistryClient(self.registry_url) as client:
            config = TemplateConfig(name=name, arch="amd64", cpu=2, ram_mb=2048)
            await push(client, repository, tag, [qcow2()], config)
        self.api.template = repository
        return repository

    async def stop(self) -> None:
        """End every process gently, then for sure; shows the ends of the logs.

        A test's runner prints them only when it failed.
        """
        await self.api.close()
        groups = [process.group for process in reversed(self._processes.values())]
        await asyncio.gather(*(group.stop(_STOP_LIMIT) for group in groups))
        for name, process in self._processes.items():
            sys.stdout.write(f"\n--- {name}: {_end_of(process.log)}\n")

    def _add(self, name: str, program: str, settings: Mapping[str, Any], *argv: str) -> None:
        assert name not in self._processes, name
        own = {"metrics_port": free_port()} | self._servers | dict(settings)
        process = _Process([str(_BIN / program), *argv], own, self.folder / name)
        self._processes[name] = process
        process.spawn()


@asynccontextmanager
async def running_cloud(
    folder: Path, mongodb_url: str, rabbitmq_url: str, database: str
) -> AsyncIterator[Cloud]:
    """A cloud without services yet; everything in it ends with the block."""
    cloud = Cloud(folder, mongodb_url, rabbitmq_url, database)
    try:
        yield cloud
    finally:
        await cloud.stop()


def qemu_processes(below: Path) -> list[int]:
    """The process ids of every QEMU that runs in a folder below this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            program = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
            folder = (entry / "cwd").readlink()
        except OSError:
            continue
        if Path(program).name.startswith("qemu-system-") and folder.is_relative_to(below):
            found.append(int(entry.name))
    return found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _line(line: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {"event": line}


def _end_of(log: Path) -> str:
    return f"end of {log}:\n{log.read_text(errors='replace')[-_TAIL:]}"
