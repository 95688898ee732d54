"""A whole cloud as separate processes on private servers, for measuring."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil

from chassis.servers import MongoServer, RabbitServer
from chassis.servers.process import Group
from tests.ports import free_port
from tests.servers import ROOT, mongo_server, rabbit_server
from tests.waiting import until

BIN = Path(sys.executable).parent
_READY_LIMIT = 60.0


class Member:
    """One process of ours; it ends with this one, however this one ends."""

    def __init__(self, name: str, folder: Path, metrics_port: int = 0) -> None:
        self.name = name
        self.metrics_port = metrics_port
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        self._group = Group(folder)

    def start(self, argv: list[str | Path], settings: Mapping[str, object]) -> None:
        """Start with these settings and nothing else that is ours in its environment."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CORRAL_", "ANKA_"))}
        chosen = {f"CORRAL_{name.upper()}": str(value) for name, value in settings.items()}
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
        self._group.spawn(argv, kept | chosen, self.log)

    @property
    def pid(self) -> int:
        """Its process id; fails with the end of its log when it has ended."""
        found = self._group.pid
        assert found is not None, f"{self.name} ended:\n{self.log.read_text()[-3000:]}"
        return found

    async def ready(self, http: aiohttp.ClientSession) -> bool:
        """Whether its readiness probe says so."""
        assert self.pid
        try:
            async with http.get(f"http://127.0.0.1:{self.metrics_port}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def report(self) -> dict[str, Any]:
        """The JSON that ends its log; {} so far."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        if not lines or not lines[-1].startswith("{"):
            assert not any("Error" in line for line in lines), self.log.read_text()
            return {}
        found: dict[str, Any] = msgspec.json.decode(lines[-1])
        return found

    async def stop(self) -> None:
        """End it properly."""
        await self._group.stop(15)

    def kill(self) -> None:
        """End it at once."""
        self._group.kill()


class Fleet:
    """Servers, then services, in the order they are added; all ends in reverse.

    ``profiled`` names the service that runs under the profiler.
    """

    def __init__(self, folder: Path, profiled: str = "") -> None:
        self.folder = folder
        self.profiled = profiled
        self.mongod: MongoServer = mongo_server(folder / "mongod")
        self.rabbitmq: RabbitServer = rabbit_server(folder / "rabbitmq")
        self.members: list[Member] = []
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    async def start_servers(self) -> None:
        """A fresh mongod and a fresh RabbitMQ."""
        await self.mongod.start()
        await self.rabbitmq.start()

    async def add(
        self, name: str, argv: list[str | Path], *, wait: bool = True, **settings: object
    ) -> Member:
        """Start a service and wait until it is ready."""
        member = Member(name, self.folder / name, free_port())
        self.members.append(member)
        common = {
            "mongodb_url": self.mongod.url,
            "rabbitmq_url": self.rabbitmq.url,
            "metrics_port": member.metrics_port,
        }
        if name == self.profiled:
            argv = [sys.executable, "-m", "cProfile", "-o", self.profile, *argv]
        member.start(argv, common | settings)
        if wait:
            await until(lambda: member.ready(self.http), _READY_LIMIT, every=0.05)
        return member

    @property
    def profile(self) -> Path:
        """Where the profiled service leaves its profile when it ends."""
        return self.folder / "profile"

    def add_tool(self, name: str, argv: list[str | Path]) -> Member:
        """Start a process that is no service: a receiver, a load generator."""
        member = Member(name, self.folder / name)
        self.members.append(member)
        member.start(argv, {})
        return member

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time of every process so far, user and system."""
        pids = {member.name: member.pid for member in self.members}
        pids |= {"mongod": self.mongod.pid or 0, "rabbitmq": self.rabbitmq.pid or 0}
        times = {name: psutil.Process(pid).cpu_times() for name, pid in pids.items()}
        return {name: found.user + found.system for name, found in times.items()}

    def rss_mib(self) -> dict[str, int]:
        """Resident memory of every service."""
        found = {m.name: psutil.Process(m.pid).memory_info().rss for m in self.members}
        return {name: size >> 20 for name, size in found.items()}

    async def counters(self) -> dict[str, dict[str, float]]:
        """Every service's counters, summed over their labels but for the outcome."""
        found: dict[str, dict[str, float]] = {}
        for member in self.members:
            if member.metrics_port:
                url = f"http://127.0.0.1:{member.metrics_port}/metrics"
                async with self.http.get(url) as answer:
                    found[member.name] = _counters(await answer.text())
        return found

    async def stop(self) -> None:
        """End every process, the profiled one properly: it writes its profile then."""
        await self.http.close()
        for member in reversed(self.members):
            if member.name == self.profiled:
                await member.stop()
            member.kill()
        self.rabbitmq.kill()
        self.mongod.kill()


def _counters(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        family = name.partition("{")[0]
        if not line.startswith("corral_") or not family.endswith(("_total", "_count", "_sum")):
            continue
        for outcome in ("undecodable", "failed", "given_up"):
            if f'outcome="{outcome}"' in name:
                family = family.replace("_total", f"_{outcome}_total")
        found[family] = found.get(family, 0.0) + float(value)
    return found
