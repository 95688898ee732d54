"""Reads of the gateway: `make bench-api ARGS="--requests 20000"`.

Private mongod and RabbitMQ; one gateway process for each size of cloud (none, 1,000 and 10,000
instances, written to the database directly). A load generator in its own process asks for single
instances by id and for whole lists, as fast as answers come, and of a bare aiohttp handler that
returns the same bytes: both in turns, the ratio is the median's. Then single reads at half of
that rate, for their latency. Then idle connections. The last line is one JSON object.
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psutil
import uvloop

from chassis.service import allow_connections
from chassis.store.mongo import MongoStore
from contracts.instances import (
    Attempt,
    InstanceDocument,
    InstanceSpec,
    InstanceState,
    InstanceStatus,
)
from contracts.templates import TemplateRef
from contracts.vms import PortForward, VmInfo
from tests.bench.facts import machine_facts
from tests.bench.fleet import BIN, Fleet, Member
from tests.ports import free_port
from tests.waiting import until

SIZES = (0, 1000, 10_000)
_EPOCH = datetime(2031, 5, 4, 10, tzinfo=UTC)
_LIMIT = 300.0
_KIB = 1024


class Bench:
    """One run."""

    def __init__(self, chosen: argparse.Namespace, folder: Path) -> None:
        self.chosen = chosen
        self.folder = folder
        self.fleet = Fleet(folder, chosen.profile)
        self.gateways = {size: f"http://127.0.0.1:{free_port()}" for size in SIZES}
        self.bare = {size: f"http://127.0.0.1:{free_port()}" for size in SIZES}
        self.members: dict[int, Member] = {}
        self.ids: dict[int, list[str]] = {}

    async def run(self) -> dict[str, object]:
        """All phases; the figures."""
        await self.fleet.start_servers()
        for size in SIZES:
            await self._gateway(size)
        empty, full = (self._rss_kib(size) for size in (SIZES[0], SIZES[-1]))
        largest = SIZES[-1]
        one = await self._compare("by id", largest, self._one, self.chosen.requests)
        figures: dict[str, object] = {"by_id": one, "by_id_half_rate": await self._half_rate(one)}
        for size in SIZES[1:]:
            count = max(40, self.chosen.requests * 20 // size)
            figures[f"list_{size}"] = await self._compare(f"list {size}", size, self._list, count)
            alone = await self._load("alone", [self.gateways[size] + "/api/v1/vm"], count, 1)
            figures[f"list_{size}_alone"] = {"latency_ms": alone["latency_ms"]}
        figures["memory_mib_per_10000_instances"] = round((full - empty) / _KIB, 1)
        figures["memory_mib_after"] = round(self._rss_kib(largest) / _KIB, 1)
        figures["idle"] = await self._idle()
        return {"bench": "api"} | figures | {"machine": machine_facts()}

    async def _gateway(self, size: int) -> None:
        """A gateway with so many instances, and the bare handler that answers as it does."""
        database = f"api{size}"
        store = MongoStore(self.fleet.mongod.url, database)
        documents = [an_instance(number) for number in range(size)]
        for start in range(0, size, 1000):
            await store.insert("instances", documents[start : start + 1000])
        await store.stop()
        self.ids[size] = [document.id for document in documents]
        name = "gateway" if size == SIZES[-1] else f"gateway-{size}"
        self.members[size] = await self.fleet.add(
            name,
            [BIN / "corral-gateway"],
            mongodb_database=database,
            listen_port=self.gateways[size].rpartition(":")[2],
        )
        if not size:
            return
        files = []
        for kind, url in (("one", self._one(size)[0]), ("list", self._list(size)[0])):
            async with self.fleet.http.get(self.gateways[size] + url) as answer:
                files.append(self.folder / f"{size}-{kind}")
                files[-1].write_bytes(await answer.read())
        port = self.bare[size].rpartition(":")[2]
        argv = [sys.executable, "-m", "tests.bench.bare", port, *files]
        self.fleet.add_tool(f"bare-{size}", argv)
        await until(lambda: _listens(int(port)), 30)

    def _one(self, size: int) -> list[str]:
        return [f"/api/v1/vm?id={identity}" for identity in self.ids[size]]

    def _list(self, _size: int) -> list[str]:
        return ["/api/v1/vm"]

    async def _compare(self, name, size, paths, count) -> dict[str, object]:
        """The gateway and the bare handler in turns."""
        ours, theirs = [], []
        for turn in range(self.chosen.turns):
            for base, reports in ((self.gateways[size], ours), (self.bare[size], theirs)):
                urls = [base + path for path in paths(size)]
                connections = self.chosen.connections if len(urls) > 1 else 4
                reports.append(await self._load(f"{name} {turn}", urls, count, connections))
        fastest = [statistics.median(r["per_second"] for r in rs) for rs in (ours, theirs)]
        latency = sorted(ours, key=lambda report: report["per_second"])[len(ours) // 2]
        figures = {
            "per_second": fastest[0],
            "bare_per_second": fastest[1],
            "ratio": round(fastest[0] / fastest[1], 3),
            "latency_ms": latency["latency_ms"],
        }
        print(name, figures)
        return figures

    async def _half_rate(self, one: dict[str, float]) -> dict[str, object]:
        """Latency of single reads while half of what is possible is asked for."""
        base = self.gateways[SIZES[-1]]
        urls = [base + path for path in self._one(SIZES[-1])]
        rate = one["per_second"] / 2
        report = await self._load(
            "half rate", urls, self.chosen.requests, self.chosen.connections, rate
        )
        print("half rate", report["latency_ms"])
        return {"per_second": round(rate), "latency_ms": report["latency_ms"]}

    async def _load(
        self, name: str, urls: Sequence[str], count: int, connections: int, rate: float = 0.0
    ) -> dict[str, object]:
        folder = self.folder / f"load {name} {uuid.uuid4().hex}"
        member = Member("load", folder)
        (folder / "urls").write_text("\n".join(urls))
        argv = [sys.executable, "-m", "tests.bench.http_load", "--urls", folder / "urls"]
        argv += ["--count", str(count), "--connections", str(connections), "--rate", str(rate)]
        member.start(argv, {})
        try:
            await until(member.report, _LIMIT, every=0.1)
        finally:
            member.kill()
        report = member.report()
        assert not report["not_ok"], report
        return report

    async def _idle(self) -> dict[str, object]:
        """What connections cost that have asked once and are silent since."""
        size, count = SIZES[0], self.chosen.idle
        port = int(self.gateways[size].rpartition(":")[2])
        before = self._rss_kib(size)
        async with AsyncExitStack() as open_ones:
            for start in range(0, count, 200):
                numbers = range(start, min(start + 200, count))
                for writer in await asyncio.gather(*[_idle_connection(port) for _ in numbers]):
                    open_ones.callback(writer.close)
            return {
                "connections": count,
                "kib_each": round((self._rss_kib(size) - before) / count, 2),
            }

    def _rss_kib(self, size: int) -> float:
        return psutil.Process(self.members[size].pid).memory_info().rss / _KIB


def an_instance(number: int) -> InstanceDocument:
    """A running VM as the scheduler leaves it."""
    created = _EPOCH + timedelta(seconds=number)
    node = f"f8707005-4630-4c9c-8403-{number % 500:012}"
    return InstanceDocument(
        id=str(uuid.UUID(int=number, version=4)),
        status_revision=3,
        created=created,
        spec=InstanceSpec(
            template=TemplateRef(
                id="6b135004-0c89-43bb-b892-74796b8d266c",
                name="base",
                tag="v1",
                version=0,
                arch="arm64",
                repository="base",
                digest="sha256:0",
            ),
            registry="http://10.0.0.1:8089",
            external_id=f"https://ci.example.com/job/build/{number}",
            name=f"build-{number}",
            metadata={"branch": "main", "attempt": 1},
            start_request_id=f"{number:032x}",
        ),
        status=InstanceStatus(
            state=InstanceState.STARTED,
            observed_generation=1,
            node_id=node,
            attempt=1,
            live=True,
            was_started=True,
            changed=created,
            attempts=(Attempt(number=1, node_id=node, placed=created),),
            vminfo=VmInfo(
                uuid=str(uuid.UUID(int=number + 10**6)),
                name=f"mgmtManaged-base-{number:019}",
                status="running",
                node_id=node,
                host_ip="10.0.0.21",
                ip="192.168.64.7",
                cpu_cores=4,
                ram_mb=4096,
                vnc_port=5901,
                vnc_password="admin",
                creation_date=created,
                access_date=created,
                start_date=created,
                timestamp=created,
                port_forwarding=(PortForward(name="ssh", guest_port=22, host_port=10000),),
            ),
        ),
    )


async def _idle_connection(port: int) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return writer


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def measure(chosen: argparse.Namespace) -> dict[str, object]:
    """One run in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="corral-bench-"))
    bench = Bench(chosen, folder)
    try:
        return await bench.run()
    finally:
        await bench.fleet.stop()
        if chosen.profile:
            shutil.copy(bench.fleet.profile, chosen.profile_to)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--profile", default="", help="gateway (the largest) under cProfile")
    parser.add_argument("--profile-to", default="/tmp/gateway.profile")
    chosen = parser.parse_args()
    allow_connections()
    print(msgspec.json.encode(uvloop.run(measure(chosen))).decode())


if __name__ == "__main__":
    main()
